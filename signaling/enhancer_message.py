"""The message of the protocol that asks for a face enhancer; what it is now, a call's state says. See `protocol.py`."""

from typing import Annotated

import msgspec

from models.engines import EnhancerMode, EnhancerName, EnhancerWish


class SetEnhancer(msgspec.Struct, tag="set_enhancer", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Restore the swapped face: never, as often as the server has time for, or every frame while it is not overloaded.

    `model` is one of `offers` in the state, the first without it; `fidelity` (CodeFormer) 0 is sharpest, 1 nearest.
    """

    mode: EnhancerMode
    model: EnhancerName | None = None
    fidelity: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.75


def to_wish(message: SetEnhancer) -> EnhancerWish:
    """As a session takes it."""
    return EnhancerWish(mode=message.mode, model=message.model, fidelity=message.fidelity)

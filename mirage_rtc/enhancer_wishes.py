"""What a call may ask of the face enhancer, against what the lane's engine has, and how that stands. For `session`."""

from collections.abc import Sequence

from mirage_rtc.errors import BadInput, Unavailable
from mirage_rtc.session_events import EnhancerState
from models.engines import Enhancement, EnhancerWish

MISSING = (
    "This server has no face enhancer: whoever runs it gets one by `mirage-rtc models fetch GPEN-BFR-256.onnx` or "
    "`mirage-rtc models fetch codeformer.pth`, and starts it again with a GPU or with MIRAGE_ENHANCER set to its name."
)


def require(wish: EnhancerWish, offers: Sequence[str]) -> None:
    """Raises Unavailable "enhancer_missing" when there is none, BadInput "enhancer_unknown" for one of another name."""
    if wish.mode == "off":
        return
    if not offers:
        raise Unavailable("enhancer_missing", MISSING)
    if wish.model is not None and wish.model not in offers:
        names = ", ".join(offers)
        raise BadInput("enhancer_unknown", f"This server does not run the enhancer {wish.model}: it has {names}.")


def state(wish: EnhancerWish, now: Enhancement, offers: Sequence[str]) -> EnhancerState:
    """What is wished, what comes of it, and what there is to wish for."""
    return EnhancerState(
        mode=wish.mode,
        model=wish.model,
        fidelity=wish.fidelity,
        running=now.model,
        every=now.every,
        paused=now.paused,
        offers=tuple(offers),
    )

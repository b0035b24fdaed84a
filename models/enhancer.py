"""What every face enhancer of the neural engine is: a network that restores aligned crops of faces that were swapped.

`models.enhancer_graph` and `models.codeformer_torch` are such; `models.enhancer_stage` asks them, after the swapper and
before the paste. What a call wishes of them is an `engines.EnhancerWish`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from models.engines import EnhancerName, Frame
from models.face_templates import Points
from models.model_spec import GraphContract


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnhancerKind:
    """One network: its square crop, the five points (5, 2) that the crop is aligned to, its tensors.

    A second input is the fidelity.
    """

    name: EnhancerName
    size_px: int
    template_px: Points
    contract: GraphContract


class Enhancer(Protocol):
    """Restores BGR crops of one kind."""

    def enhance(self, crops: Sequence[Frame], fidelities: Sequence[float]) -> list[Frame | None]:
        """Restore all crops, each with its own fidelity in [0, 1]; None where the answer is no picture.

        Raises `NetworkError` when the run fails.
        """

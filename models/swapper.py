"""What every swapper of the neural engine is: a network that puts an identity on aligned face crops.

`models.inswapper` is one. The engine aligns by `template_px`, asks once for all faces of a frame or of several calls'
frames, and pastes what comes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.arcface import Embedding
from models.engines import Frame
from models.face_templates import Points
from models.neural_paste import Alpha

Latent = NDArray[np.float32]
"""(512,): an identity as a swapper knows it. Made once a source, not once a frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwappedCrop:
    """A swapped BGR crop of the swapper's size; `alpha`, of the same size, where the network says what is face."""

    picture: Frame
    alpha: Alpha | None = None


class Swapper(Protocol):
    """Swaps square BGR crops of `size_px`, aligned to the five points `template_px` (5, 2) in crop pixels."""

    size_px: int
    template_px: Points

    def latent(self, embedding: Embedding) -> Latent:
        """The latent of a unit ArcFace embedding (512,)."""

    def swap(self, crops: Sequence[Frame], latents: Sequence[Latent]) -> list[SwappedCrop]:
        """Put one latent on each crop, all in one run. Raises `NetworkError` for answers that are nonsense."""

"""What every swapper of the neural engine is: a network that puts an identity on aligned face crops.

`models.inswapper` and `models.hyperswap` are such. The engine aligns by `template_px`, asks once for all faces of a
frame or of several calls' frames, and pastes what comes back.
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
from models.runtime import Array, NetworkError

Latent = NDArray[np.float32]
"""(512,): an identity as a swapper knows it. Made once a source, not once a frame."""


class NonsenseAnswer(NetworkError):
    """The swapper's run went through, and nothing of its answer is a picture: of what it was shown, or of the GPU."""


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

    def swap(self, crops: Sequence[Frame], latents: Sequence[Latent]) -> list[SwappedCrop | None]:
        """Put one latent on each crop, all in one run; None where the answer is nonsense: that face is blurred.

        Raises `NetworkError` when the run fails, `NonsenseAnswer` when all its answers are nonsense.
        """


def sound_rows(pictures: Array, *others: Array) -> list[bool]:
    """Which answers of a run are finite in every output, and no single colour: what a half precision that overflows is.

    `pictures` (n, 3, size, size) and `others` (n, ...) are a swapper's outputs. Raises `NonsenseAnswer` when none is.
    """
    finite = [np.isfinite(out).reshape(len(out), -1).all(axis=1) for out in (pictures, *others)]
    sound = np.logical_and.reduce(finite) & (pictures.max(axis=(1, 2, 3)) != pictures.min(axis=(1, 2, 3)))
    if not sound.any():
        raise NonsenseAnswer("the swapper gave numbers that are not finite, or a single colour")
    return [bool(one) for one in sound]

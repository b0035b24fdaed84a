"""Where a swapped crop covers the raw one: a soft square, less the swapper's edge, what hides the face, the open mouth.

Every doubt covers more. The middle of the face is covered whatever a swapper says of its edge; what hides the face
shows through only as far as a bounded part of it, beyond which there is no edge at all and the face is blurred, and
before the eyes hardly at all; of the mouth only the inside shows, in its place. Called by the neural engine for all
faces of a run.
"""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from models import neural_paste
from models.engines import Frame
from models.face_parser import INNER_MOUTH, FaceParser
from models.neural_paste import Alpha
from models.swapper import SwappedCrop
from models.xseg import Plane, XSeg

SURELY_HIDDEN = 0.25
"""Below this share of face a pixel is taken for what lies before the face; the network's grey zone stays covered."""
MOST_HIDDEN = 0.30
"""Of the middle of the face: more is a network that errs, or a face that is not to be seen, and both are blurred."""
MOST_OF_EYES = 0.10
"""The same of the band of eyes and brows, by which people are recognised: with more of it hidden the swap covers the
whole band. Glasses hide 15 % of it for a network that takes them for something held before the face."""
MOST_MOUTH = 0.04
"""Of the crop: an open mouth in speech is up to 3 %."""
_SOFT_SHARE = 0.012
"""Of the crop's side, the blur of what is cut out, so that it has no stairs."""
CORE_CENTRE, CORE_RADII = (0.5, 0.56), (0.24, 0.29)
"""In shares of the crop, which is aligned by ArcFace's template: brows to chin, cheek to cheek."""
_EYES_ROWS = (0.27, 0.53)
_MOUTH_CENTRE, _MOUTH_RADII = (0.5, 0.72), (0.16, 0.13)


class CropEdges:
    """Draws the alphas of swapped crops of `size_px`, with the masking networks that there are."""

    def __init__(self, size_px: int, *, occlusion: XSeg | None = None, parser: FaceParser | None = None) -> None:
        self._size_px = size_px
        self._occlusion = occlusion
        self._parser = parser
        self._square = neural_paste.soft_alpha(size_px)
        self._core = core(size_px)
        self._middle = self._core > 127
        self._eye_rows = _rows(size_px, *_EYES_ROWS)
        self._eyes = self._middle & self._eye_rows
        self._mouth = _ellipse(size_px, _MOUTH_CENTRE, _MOUTH_RADII) > 127

    def draw(self, crops: Sequence[Frame], answers: Sequence[SwappedCrop]) -> list[Alpha | None]:
        """For each raw crop and its answer the alpha (size, size), 255 where the swap covers; None: blur the face.

        Raises what the networks raise.
        """
        alphas: list[Alpha | None] = [self._own(answer.alpha) for answer in answers]
        if self._occlusion is not None:
            seen = self._occlusion.visible(crops)
            alphas = [self._uncovered(alpha, plane) for alpha, plane in zip(alphas, seen, strict=True)]
        if self._parser is not None:
            parts = self._parser.classes(crops)
            alphas = [self._open_mouth(alpha, classes) for alpha, classes in zip(alphas, parts, strict=True)]
        return alphas

    def _own(self, alpha: Alpha | None) -> Alpha:
        """The swapper's own edge may take from the rim of the square, not from the middle."""
        if alpha is None:
            return self._square
        return np.asarray(np.maximum(np.minimum(alpha, self._square), self._core), np.uint8)

    def _uncovered(self, alpha: Alpha | None, visible: Plane) -> Alpha | None:
        if alpha is None:
            return None
        hidden = cv2.resize(visible, (self._size_px, self._size_px)) < SURELY_HIDDEN
        # A lone pixel is noise of the network, and would flicker.
        hidden = cv2.morphologyEx(hidden.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
        if float(hidden[self._middle].mean()) > MOST_HIDDEN:
            return None
        before_eyes = float(hidden[self._eyes].mean()) > MOST_OF_EYES
        return self._without(alpha, hidden & ~self._eye_rows if before_eyes else hidden)

    def _open_mouth(self, alpha: Alpha | None, classes: NDArray[np.uint8]) -> Alpha | None:
        if alpha is None:
            return None
        size = (self._size_px, self._size_px)
        inner = cv2.resize((classes == INNER_MOUTH).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        inner &= self._mouth
        return alpha if float(inner.mean()) > MOST_MOUTH else self._without(alpha, inner)

    def _without(self, alpha: Alpha, shown: NDArray[np.bool_]) -> Alpha:
        """The alpha with a soft hole where the raw picture shows; never more than `shown`."""
        if not shown.any():
            return alpha
        cover = np.where(shown, 0, 255).astype(np.uint8)
        soft = cv2.GaussianBlur(cover, (0, 0), max(0.8, self._size_px * _SOFT_SHARE))
        return np.asarray(np.minimum(alpha, np.where(shown, soft, 255)), np.uint8)


@cache
def core(size_px: int) -> Alpha:
    """The middle of a face, brows to chin, as an alpha of an aligned crop: there is no hair and no background in it."""
    return np.minimum(_ellipse(size_px, CORE_CENTRE, CORE_RADII), neural_paste.soft_alpha(size_px))


def _rows(size_px: int, top: float, bottom: float) -> NDArray[np.bool_]:
    """A band of a crop, in shares of its side."""
    ticks = (np.arange(size_px) + 0.5) / size_px
    return np.broadcast_to(((ticks >= top) & (ticks < bottom))[:, None], (size_px, size_px))


def _ellipse(size_px: int, centre: tuple[float, float], radii: tuple[float, float]) -> Alpha:
    """255 inside, 0 outside, smooth over a tenth of the radius."""
    ticks = (np.arange(size_px) + 0.5) / size_px
    x, y = np.meshgrid(ticks, ticks)
    far = np.sqrt(((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2)
    return np.asarray(np.rint(255 * np.clip((1.05 - far) / 0.1, 0, 1)), np.uint8)

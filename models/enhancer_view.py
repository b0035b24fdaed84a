"""What an enhancer is shown of a swapped face, and the constant way between the swapper's crop and the enhancer's.

Both crops are aligned by five points, so the way between them is the same for every face: no second alignment, nothing
that trembles, and one paste by both ways together. The enhancer never sees a raw face: where its crop is wider than the
swap it is shown 16 x 16 colours of the frame. Used by `enhancer_stage` and `enhancer_detail`.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models import face_templates
from models.engines import Frame
from models.face_templates import Affine, Points
from models.neural_paste import Alpha, soft_alpha

CONTEXT_PX = 16
"""Of the raw frame on a side, as `mirage_rtc.gate` blurs a picture that may be seen: hair and wall as patches."""
_SEAM = 0.03
"""Of the swapper's crop, from its rim inwards: there the swap fades into the patches, outside of all that is pasted."""
MAX_DRIFT = 24.0
"""Levels of 255 between the coarse colours of an enhanced face and the swap's: half precision, another's face."""
_CHECK_PX, _COARSE_PX = 64, 8


class EnhancerView:
    """The geometry between one swapper and one enhancer; sizes in pixels, templates (5, 2)."""

    def __init__(self, *, swap_px: int, swap_template: Points, size_px: int, template: Points) -> None:
        self.size_px = size_px
        self.from_crop = face_templates.similarity(swap_template, template)
        self._swap_px = swap_px
        self._surrounded = not _covers(self.from_crop, swap_px, size_px)
        self._lay = cv2.merge([self._warped(_seam(swap_px), cv2.BORDER_CONSTANT)] * 3)
        self._under = cv2.bitwise_not(self._lay)
        core = np.asarray(cv2.resize(soft_alpha(swap_px), (_CHECK_PX, _CHECK_PX), interpolation=cv2.INTER_AREA))
        self._core = core > 200
        self._alpha: tuple[Alpha, Alpha] | None = None

    def to_view(self, to_crop: Affine) -> Affine:
        """The way from the frame to the enhancer's crop, when `to_crop` is the one to the swapper's."""
        return compose(self.from_crop, to_crop)

    def laid(self, crop: Frame) -> Frame:
        """The swapper's crop in the place that it has in the enhancer's; its rim goes on beyond it."""
        return self._warped(crop, cv2.BORDER_REPLICATE)

    def shown(self, frame: Frame, to_crop: Affine, swapped: Frame) -> Frame:
        """The enhancer's input: the swapped crop, around it what the frame has there, too coarse to be anybody."""
        laid = self.laid(swapped)
        if not self._surrounded:
            return laid
        around = _coarse(frame, self.to_view(to_crop), self.size_px)
        return np.asarray(
            cv2.add(cv2.multiply(laid, self._lay, scale=1 / 255), cv2.multiply(around, self._under, scale=1 / 255))
        )

    def alpha(self, alpha: Alpha) -> Alpha:
        """The swapper's alpha in the enhancer's crop, kept for the next call: nothing is pasted beyond the swap."""
        if self._alpha is None or self._alpha[0] is not alpha:
            self._alpha = alpha, self._warped(alpha, cv2.BORDER_CONSTANT)
        return self._alpha[1]

    def is_of(self, enhanced: Frame, swapped: Frame, raw: Frame) -> bool:
        """Whether an answer is this swap restored: its coarse colours, and nearer to the swap than to the raw face.

        `swapped` and `raw` are crops of the swapper. No answer passes that brings the raw face back, or another one.
        """
        if enhanced.shape != (self.size_px, self.size_px, 3):
            return False
        answer, swap, own = (self._small(picture) for picture in (self._back(enhanced), swapped, raw))
        apart, near = (float(np.abs(answer - one)[self._core].mean()) for one in (swap, own))
        coarse = [cv2.resize(one, (_COARSE_PX, _COARSE_PX), interpolation=cv2.INTER_AREA) for one in (answer, swap)]
        drift = float(np.abs(coarse[0] - coarse[1])[1:-1, 1:-1].mean())
        return apart < near and drift <= MAX_DRIFT

    def _back(self, enhanced: Frame) -> Frame:
        """An enhanced picture in the swapper's crop."""
        side = (self._swap_px, self._swap_px)
        halved, scale = enhanced, 1.0
        while halved.shape[0] >= 2 * self._swap_px:
            halved = np.asarray(cv2.resize(halved, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
            scale /= 2
        way = np.asarray(scaled(self.from_crop, scale))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(halved, way, side, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)

    def _small(self, crop: Frame) -> NDArray[np.float32]:
        return np.asarray(cv2.resize(crop, (_CHECK_PX, _CHECK_PX), interpolation=cv2.INTER_AREA), np.float32)

    def _warped(self, crop: NDArray[np.uint8], border: int) -> NDArray[np.uint8]:
        size = (self.size_px, self.size_px)
        return np.asarray(
            cv2.warpAffine(crop, self.from_crop, size, flags=cv2.INTER_LINEAR, borderMode=border), np.uint8
        )


def compose(second: Affine, first: Affine) -> Affine:
    """The way (2, 3) that goes `first` and then `second`."""
    return np.hstack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2:] + second[:, 2:]])


def scaled(to: Affine, factor: float) -> Affine:
    """The way to the same picture at `factor` its size, as a resize has it: pixel centres are at halves."""
    way = to * factor
    way[:, 2] += (factor - 1) / 2
    return way


def _covers(from_crop: Affine, swap_px: int, size_px: int) -> bool:
    """Whether the enhancer's crop lies within the swapper's, to two pixels."""
    ends = np.array([[0, 0], [size_px - 1, size_px - 1]], np.float64)
    back = face_templates.inverse(from_crop)
    at = ends @ back[:, :2].T + back[:, 2]
    return bool((at >= -2).all() and (at <= swap_px + 1).all())


def _seam(swap_px: int) -> Alpha:
    ticks = np.minimum(np.arange(swap_px), np.arange(swap_px)[::-1])
    inward = np.clip(np.minimum.outer(ticks, ticks) / (_SEAM * swap_px), 0, 1)
    return np.rint(255 * inward).astype(np.uint8)


def _coarse(frame: Frame, to_view: Affine, size_px: int) -> Frame:
    fine = 4 * CONTEXT_PX
    crop = face_templates.crop(frame, scaled(to_view, fine / size_px), fine)
    few = cv2.resize(crop, (CONTEXT_PX, CONTEXT_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(few, (size_px, size_px), interpolation=cv2.INTER_CUBIC), np.uint8)

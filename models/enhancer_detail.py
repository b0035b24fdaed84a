"""What an enhancer adds to a swapped face, kept as a difference, so that frames between its runs have it too.

The difference is laid over the swap of every frame in the enhancer's crop: where the face moved since it was made
(eyelids, lips) it fades, elsewhere it stays, and a new one takes over by halves, so that neither sharpness nor skin
flickers from frame to frame. One a face; owned by `enhancer_stage`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.engines import Frame
from models.enhancer_view import EnhancerView, scaled
from models.face_templates import Affine
from models.neural_paste import Alpha
from models.swapper import Latent

Residual = NDArray[np.int16]
"""(size, size, 3): enhanced minus shown, levels."""

FADE_FRAMES = 8
"""From no enhancement to all of it, and back: a switch is not seen."""
KEPT = 0.5
"""Of the former difference, where nothing moved, when a new one comes."""
_STILL, _MOVED = 4.0, 16.0
"""Levels that a place of the swap may differ from when the difference was made: all of it kept; none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """The difference that one frame's face gets, and where it lies."""

    view: EnhancerView
    residual: Residual

    def over(self, crop: Frame, alpha: Alpha, to_crop: Affine) -> tuple[Frame, Alpha, Affine]:
        """A swapped crop with the detail on it, its alpha and the way to it: what is pasted in the crop's place.

        A face that is small in the frame comes at half the size or less, so that fine detail does not shimmer there.
        """
        picture = np.asarray(cv2.add(self.view.laid(crop), self.residual, dtype=cv2.CV_8U), np.uint8)
        to_view, edge = self.view.to_view(to_crop), self.view.alpha(alpha)
        while float(np.hypot(*to_view[:, 0])) >= 2:
            picture = np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
            edge = np.asarray(cv2.resize(edge, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
            to_view = scaled(to_view, 0.5)
        return picture, edge, to_view


class FaceDetail:
    """The detail of one face that wears `latent`: it is nobody else's."""

    def __init__(self, view: EnhancerView, latent: Latent) -> None:
        self.view = view
        self.latent = latent
        self.strength = 0.0
        self._residual: Residual | None = None
        self._swap: Frame = np.zeros((0, 0, 3), np.uint8)

    def learn(self, swap: Frame, shown: Frame, enhanced: Frame) -> None:
        """Take a new difference: `swap` is the swapper's crop, `shown` what the enhancer was given of it."""
        fresh = np.asarray(cv2.subtract(enhanced, shown, dtype=cv2.CV_16S), np.int16)
        if self._residual is not None:
            apart = np.asarray(cv2.subtract(self._residual, fresh), np.int16)
            fresh = np.asarray(cv2.add(fresh, self._weighted(apart, swap, KEPT)), np.int16)
        self._residual, self._swap = fresh, swap

    def step(self, swap: Frame, *, wanted: bool) -> Detail | None:
        """The detail of the next frame, whose swap this is: it comes while `wanted`, else it goes. None when gone."""
        self.strength = min(1.0, max(0.0, self.strength + (1 if wanted else -1) / FADE_FRAMES))
        if self._residual is None or self.strength == 0.0:
            return None
        return Detail(view=self.view, residual=self._weighted(self._residual, swap, self.strength))

    def _weighted(self, residual: NDArray[np.integer], swap: Frame, share: float) -> Residual:
        """`share` of a difference where the swap is what it was when the difference was made, less where it moved."""
        moved = cv2.blur(cv2.cvtColor(cv2.absdiff(swap, self._swap), cv2.COLOR_BGR2GRAY).astype(np.float32), (7, 7))
        still = np.clip((_MOVED - moved) / (_MOVED - _STILL), 0, 1) * np.float32(255)
        weight = self.view.laid(still.astype(np.uint8))
        return np.asarray(
            cv2.multiply(residual, cv2.merge([weight] * 3), scale=share / 255, dtype=cv2.CV_16S), np.int16
        )

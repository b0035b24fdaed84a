"""Notices changes outside the known faces, so that a newcomer is looked for at once and not at the next turn.

`face_tracker` asks on every frame; it costs far less than a detection.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from models.engines import Frame
from models.geometry import Floats

_CELLS = 32
_STEP = 4
_MIN_DIFFERENCE = 14  # grey levels of a cell's mean: above sensor noise and exposure drift
_MIN_CELLS = 4  # a face of 40 pixels in 512 covers about six


class SceneChange:
    """Compares a frame with the one last looked at, in 32 x 32 grey cells."""

    def __init__(self) -> None:
        self._seen: NDArray[np.int16] | None = None

    def look(self, frame: Frame) -> None:
        """Remember `frame`: faces were searched for in it."""
        self._seen = _cells(frame)

    def changed(self, frame: Frame, known: Iterable[Floats]) -> bool:
        """Whether at least four cells outside the `known` boxes differ from the remembered frame, if any."""
        if self._seen is None:
            return True
        different = np.abs(_cells(frame) - self._seen) > _MIN_DIFFERENCE
        scale = _CELLS / np.array([frame.shape[1], frame.shape[0]] * 2, np.float32)
        for box in known:
            x0, y0, x1, y1 = np.clip(np.rint(box * scale), 0, _CELLS).astype(int)
            different[y0:y1, x0:x1] = False
        return int(np.count_nonzero(different)) >= _MIN_CELLS


def _cells(frame: Frame) -> NDArray[np.int16]:
    coarse = np.ascontiguousarray(frame[::_STEP, ::_STEP, 1])  # green: most of the luminance, least of the noise
    return cv2.resize(coarse, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA).astype(np.int16)

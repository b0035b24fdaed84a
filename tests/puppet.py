"""An animated photograph: what `tests.media` shows without the recorded assets.

The photograph is scikit-image's `astronaut` (NASA, public domain). It rolls, sways, breathes in and out of the camera
and opens its mouth; a "person" is a mirror and a tint of it, enough for tests that only need two different pictures.
"""

import functools
import math

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from models.engines import Frame

_FACE = (176.0, 58.0, 272.0, 182.0)
_MOUTH = (224.0, 141.0)
_ZOOM = 1.7
_TINTS: dict[str, tuple[bool, tuple[float, float, float]]] = {
    "man_a": (False, (1.0, 1.0, 1.0)),
    "man_b": (True, (1.05, 0.9, 0.85)),
    "woman_a": (False, (0.85, 1.0, 1.1)),
    "woman_b": (True, (0.8, 0.85, 1.0)),
}


def pose(person: str, *, time_s: float, size_px: int) -> tuple[Frame, tuple[float, float, float, float]]:
    """The photograph at one moment and the box of its face, in pixels of the returned square frame."""
    mirrored, tint = _TINTS[person]
    talking = _with_open_mouth(_photograph(), 0.5 - 0.5 * math.cos(2 * math.pi * 3.1 * time_s))
    matrix = _camera(time_s, size_px)
    frame = cv2.warpAffine(talking, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    frame = np.clip(frame * np.array(tint), 0, 255).astype(np.uint8)
    box = _warped_box(matrix)
    if not mirrored:
        return np.ascontiguousarray(frame), box
    return np.ascontiguousarray(frame[:, ::-1]), (size_px - box[2], box[1], size_px - box[0], box[3])


@functools.lru_cache(maxsize=1)
def _photograph() -> Frame:
    photo: Frame = data.astronaut()  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(photo[..., ::-1])


def _with_open_mouth(photo: Frame, opening: float) -> Frame:
    """Draw the lower lip and chin down by up to 4 px and darken the gap."""
    height, width = photo.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    nearness = np.exp(-(((x - _MOUTH[0]) / 26) ** 2) - ((y - _MOUTH[1] - 12) / 20) ** 2)
    drop = 4.0 * opening * nearness * np.clip((y - _MOUTH[1]) / 6, 0, 1)
    moved = cv2.remap(photo, x, (y - drop).astype(np.float32), cv2.INTER_LINEAR)
    if opening > 0.3:
        centre = (round(_MOUTH[0]), round(_MOUTH[1] + 1))
        cv2.ellipse(moved, centre, (10, max(1, round(2 * opening))), 3, 0, 360, (48, 38, 90), -1, cv2.LINE_AA)
    return np.asarray(moved, np.uint8)


def _camera(time_s: float, size_px: int) -> NDArray[np.float64]:
    roll_deg = 6 * math.sin(2 * math.pi * 0.31 * time_s)
    zoom = _ZOOM * (1 + 0.06 * math.sin(2 * math.pi * 0.23 * time_s + 1)) * size_px / 512
    centre = ((_FACE[0] + _FACE[2]) / 2, (_FACE[1] + _FACE[3]) / 2)
    matrix = cv2.getRotationMatrix2D(centre, roll_deg, zoom)
    sway = (0.04 * math.sin(2 * math.pi * 0.41 * time_s), 0.02 * math.sin(2 * math.pi * 0.53 * time_s))
    matrix[0, 2] += size_px * (0.5 + sway[0]) - centre[0]
    matrix[1, 2] += size_px * (0.48 + sway[1]) - centre[1]
    return np.asarray(matrix, np.float64)


def _warped_box(matrix: NDArray[np.float64]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = _FACE
    middle = matrix @ np.array([(x0 + x1) / 2, (y0 + y1) / 2, 1.0])
    half = np.hypot(matrix[0, 0], matrix[0, 1]) * np.array([x1 - x0, y1 - y0]) / 2
    left, top = middle - half
    right, bottom = middle + half
    return float(left), float(top), float(right), float(bottom)

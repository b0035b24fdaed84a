"""Two people of one recording, cut out, so that a test can move them over a plain wall: who is where is known.

The neural tests of who wears what use it; it needs `../shared/assets`.
"""

import functools
from collections.abc import Mapping
from typing import Literal

import cv2
import numpy as np

from models.engines import Frame
from models.geometry import Floats
from tests.asset_frames import frames

Who = Literal["ada", "bob"]
CLIP = "grid_two_people.mp4"
HEADS: dict[Who, tuple[int, int, int, int]] = {"ada": (92, 0, 296, 288), "bob": (432, 0, 636, 288)}
"""x0, y0, x1, y1 of each head in the clip, pixels; chosen by eye."""
SIZE_PX = (720, 288)
WALL_BGR = (120, 130, 110)


@functools.cache
def _mask(height: int, width: int) -> Floats:
    mask = np.zeros((height, width), np.float32)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 2 - 8, height // 2 + 20), 0, 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 4)[..., None], np.float32)


def head(who: Who, index: int) -> Frame:
    """The cut-out of one person at a frame of the clip, which is played to and fro."""
    clip = frames(CLIP)
    at = index % (2 * len(clip) - 2)
    frame = clip[at if at < len(clip) else 2 * len(clip) - 2 - at]
    x0, y0, x1, y1 = HEADS[who]
    return frame[y0:y1, x0:x1]


def scene(index: int, middles_px: Mapping[Who, float], scale: Mapping[Who, float] | None = None) -> Frame:
    """Heads over the wall, their middles at `middles_px` across; the later one is in front."""
    width, height = SIZE_PX
    canvas = np.empty((height, width, 3), np.float32)
    canvas[:] = WALL_BGR
    canvas += np.random.default_rng(0).normal(0, 3, canvas.shape)
    for who, middle_px in middles_px.items():
        cut = head(who, index)
        size = (scale or {}).get(who, 1.0)
        cut = np.asarray(cv2.resize(cut, None, fx=size, fy=size, interpolation=cv2.INTER_AREA), np.uint8)
        _lay(canvas, cut, round(middle_px - cut.shape[1] / 2), (height - cut.shape[0]) // 2)
    return np.ascontiguousarray(canvas.clip(0, 255).astype(np.uint8))


def _lay(canvas: Floats, cut: Frame, left: int, top: int) -> None:
    x0, x1 = max(0, left), min(canvas.shape[1], left + cut.shape[1])
    if x0 >= x1:
        return
    part = cut[:, x0 - left : x1 - left].astype(np.float32)
    alpha = _mask(*cut.shape[:2])[:, x0 - left : x1 - left]
    region = canvas[top : top + cut.shape[0], x0:x1]
    region[:] = part * alpha + region * (1 - alpha)

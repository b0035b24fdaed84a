"""SCRFD: boxes and five points of every face in a picture (Guo et al., arXiv:2105.04714, as InsightFace exports it).

The neural engine's detector. Of the thousands of anchors only those with a score are decoded.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.engines import Frame
from models.runtime import Array, Graph, NetworkError

STRIDES_PX = (8, 16, 32)
ANCHORS_PER_CELL = 2
FAST_PX, THOROUGH_PX = 320, 640
MIN_SCORE = 0.5
NMS_IOU = 0.4

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFace:
    """One face: `box` (4,) x0 y0 x1 y1 and `points` (5, 2), eyes, nose tip, mouth corners, left in the picture first.

    Pixels of the picture, possibly outside it; `score` in [0, 1].
    """

    box: Floats
    points: Floats
    score: float

    @property
    def area_px2(self) -> float:
        """Area of the box, zero for an inverted one."""
        width, height = self.box[2:] - self.box[:2]
        return max(float(width), 0.0) * max(float(height), 0.0)


class Scrfd:
    """Finds faces. A graph of open size looks at 320 pixels first, and at 640 when that shows nobody.

    Faces that fill the picture score low at 640, small ones are lost at 320. A graph of fixed size looks once.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        fixed_px = graph.inputs[0].shape[2]
        self.sizes_px = (FAST_PX, THOROUGH_PX) if fixed_px is None else (fixed_px,)
        self._centres = {size: _anchor_centres(size) for size in self.sizes_px}

    def detect(self, picture: Frame, *, min_score: float = MIN_SCORE) -> list[FoundFace]:
        """Faces of a BGR picture (height, width, 3) with at least `min_score`, best first."""
        for size_px in self.sizes_px:
            faces = self.detect_at(picture, size_px, min_score=min_score)
            if faces:
                return faces
        return []

    def detect_at(self, picture: Frame, size_px: int, *, min_score: float = MIN_SCORE) -> list[FoundFace]:
        """As `detect`, at one of `sizes_px`. Raises `NetworkError` for an answer that is not finite."""
        blob, scale = _letterboxed(picture, size_px)
        outputs = self._graph.run({self._graph.inputs[0].name: blob})
        scores, rows = _decoded(outputs, self._centres[size_px], min_score)
        rows = rows / np.float32(scale)
        kept = _suppressed(scores, rows[:, :4])
        return [
            FoundFace(box=rows[i, :4], points=rows[i, 4:].reshape(5, 2), score=float(scores[i])) for i in kept.tolist()
        ]


def largest(faces: list[FoundFace], count: int) -> list[FoundFace]:
    """The `count` largest faces, largest first."""
    return sorted(faces, key=lambda face: -face.area_px2)[:count]


def _anchor_centres(size_px: int) -> tuple[Floats, ...]:
    """For each stride the corners (n, 2) of its cells in pixels, row by row, each twice: SCRFD counts from them."""
    centres = []
    for stride in STRIDES_PX:
        ticks = np.arange(size_px // stride, dtype=np.float32) * stride
        grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
        centres.append(np.repeat(grid, ANCHORS_PER_CELL, axis=0))
    return tuple(centres)


def _letterboxed(picture: Frame, size_px: int) -> tuple[Floats, float]:
    """The picture in the upper left of a square, as (1, 3, size, size) RGB in about [-1, 1], and its scale."""
    height_px, width_px = picture.shape[:2]
    if height_px > width_px:
        inner = max(1, size_px * width_px // height_px), size_px
    else:
        inner = size_px, max(1, size_px * height_px // width_px)
    canvas = np.zeros((size_px, size_px, 3), np.uint8)
    canvas[: inner[1], : inner[0]] = cv2.resize(picture, inner, interpolation=cv2.INTER_LINEAR)
    blob = cv2.dnn.blobFromImage(canvas, 1 / 128, (size_px, size_px), (127.5, 127.5, 127.5), swapRB=True)
    return np.asarray(blob, np.float32), inner[1] / height_px


def _decoded(outputs: tuple[Array, ...], centres: tuple[Floats, ...], min_score: float) -> tuple[Floats, Floats]:
    """Nine maps to scores (n,) and rows (n, 14) of box and points, best first, in pixels of the square."""
    scores, rows = [], []
    for level, stride in enumerate(STRIDES_PX):
        score = outputs[level].reshape(-1)
        _require_finite(score)
        likely = np.flatnonzero(score >= min_score)
        at = centres[level][likely]
        sides = outputs[level + 3].reshape(-1, 4)[likely] * np.float32(stride)
        shifts = outputs[level + 6].reshape(-1, 10)[likely] * np.float32(stride)
        rows.append(np.concatenate([at - sides[:, :2], at + sides[:, 2:], np.tile(at, 5) + shifts], axis=1))
        scores.append(score[likely])
    flat, found = np.concatenate(scores), np.concatenate(rows)
    _require_finite(found)
    order = np.argsort(-flat, kind="stable")
    return flat[order], found[order]


def _require_finite(numbers: Array) -> None:
    """A score that is no number would be a face that nobody hides."""
    if not np.isfinite(numbers).all():
        raise NetworkError("the face detector gave numbers that are not finite")


def _suppressed(scores: Floats, boxes: Floats) -> NDArray[np.intp]:
    """Indices of what stays when, from the best down, each box drops those it overlaps by more than `NMS_IOU`.

    Sides count one pixel more than their difference, as where the thresholds were tuned.
    """
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    areas = sides[:, 0] * sides[:, 1]
    left = np.arange(len(scores))
    kept = []
    while len(left):
        best, rest = left[0], left[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        shared = np.prod(np.maximum(np.minimum(boxes[best, 2:], boxes[rest, 2:]) - low + 1, 0), axis=1)
        left = rest[shared <= NMS_IOU * (areas[best] + areas[rest] - shared)]
    return np.array(kept, np.intp)

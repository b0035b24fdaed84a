"""Plane geometry of face finding: boxes, anchors, suppression and rotated square regions. Pure numpy.

Boxes are float32 (x0, y0, x1, y1) in pixels, x to the right and y down; angles are radians, clockwise as seen.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_MAX_ZOOM = 1.6
_MAX_JUMP = 0.6
_SAME_IOU = 0.5
_SAME_INSIDE = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Roi:
    """A square region of a picture, turned by `angle_rad` about its centre."""

    x_px: float
    y_px: float
    size_px: float
    angle_rad: float

    def to_crop(self, crop_px: int) -> Floats:
        """The affine map (2, 3) from picture pixels to pixels of an upright crop of `crop_px` by `crop_px`."""
        scale = crop_px / self.size_px
        cos, sin = np.cos(self.angle_rad) * scale, np.sin(self.angle_rad) * scale
        half = crop_px / 2
        dx, dy = half - cos * self.x_px - sin * self.y_px, half + sin * self.x_px - cos * self.y_px
        return np.array([[cos, sin, dx], [-sin, cos, dy]], np.float32)

    def from_crop(self, crop_px: int) -> Floats:
        """The inverse of `to_crop`, (2, 3)."""
        scale = self.size_px / crop_px
        cos, sin = np.cos(self.angle_rad) * scale, np.sin(self.angle_rad) * scale
        half = crop_px / 2
        dx, dy = self.x_px - cos * half + sin * half, self.y_px - sin * half - cos * half
        return np.array([[cos, -sin, dx], [sin, cos, dy]], np.float32)


def anchor_centres(size_px: int, stride_px: int) -> Floats:
    """Centres of SSD anchors, one a cell, row by row: (n, 2) x and y as fractions of the input's side."""
    cells = size_px // stride_px
    ticks = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    x, y = np.meshgrid(ticks, ticks)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def bounds(points: Floats) -> Floats:
    """The upright box around points (n, 2 or more)."""
    return np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])


def area(boxes: Floats) -> Floats:
    """Areas of boxes (..., 4) in square pixels; an inverted box has none."""
    sides: Floats = np.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def overlap(box: Floats, boxes: Floats) -> Floats:
    """Area that `box` (4,) shares with each of `boxes` (n, 4)."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    return area(np.concatenate([low, high], axis=1))


def iou(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union, in [0, 1], of `box` (4,) with each of `boxes` (n, 4)."""
    shared = overlap(box, boxes)
    return np.asarray(shared / np.maximum(area(box) + area(boxes) - shared, 1e-9))


def distance(box: Floats, boxes: Floats) -> Floats:
    """How far the centres are apart, in sides of the larger of the two boxes; (n,)."""
    apart = np.hypot(*((boxes[:, :2] + boxes[:, 2:] - box[:2] - box[2:]) / 2).T)
    return np.asarray(apart / np.sqrt(np.maximum(np.maximum(area(box), area(boxes)), 1e-9)))


def grown(box: Floats, share: float) -> Floats:
    """The box with `share` of its side added on every side."""
    margin = (box[2:] - box[:2]) * share
    return np.concatenate([box[:2] - margin, box[2:] + margin])


def inside_share(box: Floats, width_px: int, height_px: int) -> float:
    """Which share of the box's area lies inside the picture."""
    return float(overlap(np.array([0, 0, width_px, height_px], np.float32), box[None])[0] / max(float(area(box)), 1e-9))


def continues(before: Floats, now: Floats) -> bool:
    """Whether a face can have moved from one box to the other in one frame: by 60 % of its side, to 1.6 of its size."""
    zoom = float(np.sqrt(area(now) / max(float(area(before)), 1.0)))
    return 1 / _MAX_ZOOM < zoom < _MAX_ZOOM and float(distance(before, now[None])[0]) < _MAX_JUMP


def coincides(one: Floats, other: Floats) -> bool:
    """Whether two boxes are on the same face: they overlap by half, or one lies nearly whole inside the other."""
    smaller = min(float(area(one)), float(area(other)))
    shared = float(overlap(one, other[None])[0])
    return float(iou(one, other[None])[0]) > _SAME_IOU or shared > _SAME_INSIDE * max(smaller, 1e-9)


def weighted_nms(boxes: Floats, scores: Floats, *, min_iou: float) -> list[tuple[Floats, float]]:
    """Merge overlapping boxes, best first: rows (n, 4 + k) of box and points are averaged by score; (row, best score).

    MediaPipe's weighted non-maximum suppression: averaging, where plain suppression picks one, steadies boxes in time.
    """
    order = np.argsort(-scores)
    boxes, scores = boxes[order], scores[order]
    merged = []
    while len(boxes):
        same = iou(boxes[0, :4], boxes[:, :4]) > min_iou
        same[0] = True
        weights = scores[same] / scores[same].sum()
        merged.append((np.asarray(weights @ boxes[same], np.float32), float(scores[0])))
        boxes, scores = boxes[~same], scores[~same]
    return merged

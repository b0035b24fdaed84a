"""Carries the five points of one face from frame to frame by optical flow, where no detector ran.

Pyramidal Lucas-Kanade (Bouguet 2000) on a few dozen corners inside the face, each followed there and back (Kalal,
Mikolajczyk and Matas, "Forward-Backward Error", ICPR 2010); a similarity through what agrees (RANSAC) moves the points.
It works in the face's own region, so that a frame costs by the size of its faces. Used by `carried_faces`, one a face.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.geometry import Floats

Grey = NDArray[np.uint8]
"""A picture (height, width), uint8."""

_MAX_FEATURES = 40
_MIN_FEATURES = 10
_QUALITY = 0.01
_SPACING = 0.05  # between features, in sides of the box
_REACH = 0.6  # of the region that is searched, beyond the box, in its sides
_WINDOW_PX, _LEVELS = 15, 3
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.02)
_RETURN_ERROR = 0.02  # there and back, in sides of the box; at least half a pixel
_INLIER = 0.03  # from where the similarity puts a feature, in sides of the box; at least one pixel
_MAX_ZOOM = 1.25
_MAX_SHIFT = 0.5  # in sides of the box
_CORRECTION = 0.35
_SNAP = 0.08  # in sides of the box: what is farther off is no noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A face one frame on: `points` (5, 2) and `box` (4,) in pixels, and the share of its features that agree."""

    points: Floats
    box: Floats
    inlier_ratio: float


class PointCarrier:
    """The features of one face. Every call of `carry` is for the frame after the one before."""

    def __init__(self, grey: Grey, points: Floats, box: Floats) -> None:
        self.points, self.box = points.astype(np.float32), box.astype(np.float32)
        self._features: Floats = np.empty((0, 2), np.float32)
        self._sown = _MAX_FEATURES
        self._sow(grey)

    def correct(self, grey: Grey, points: Floats, box: Floats) -> None:
        """A detection found the face in this frame: lean towards it, or follow it whole where it is far off.

        A detector's points tremble by a share of a pixel, the carried ones drift; a third of the way each time leaves
        neither.
        """
        side_px = _side_px(box)
        off_px = float(np.abs(points - self.points).max())
        lean = np.float32(1.0 if off_px > _SNAP * side_px else _CORRECTION)
        self.points = np.asarray(self.points + lean * (points - self.points), np.float32)
        self.box = np.asarray(self.box + lean * (box - self.box), np.float32)
        self._sow(grey)

    def carry(self, before: Grey, now: Grey) -> Carried | None:
        """Move the face from one frame into the next; None when its features do not say where it went."""
        if len(self._features) < _MIN_FEATURES or min(_region(now, self.box, _REACH)[1].shape) < _WINDOW_PX:
            return None
        moved, kept = self._followed(before, now)
        if np.count_nonzero(kept) < _MIN_FEATURES:
            return None
        side_px = _side_px(self.box)
        estimated, agree = cv2.estimateAffinePartial2D(
            self._features[kept], moved[kept], ransacReprojThreshold=max(1.0, _INLIER * side_px), maxIters=200
        )
        if estimated is None or not _plausible(motion := np.asarray(estimated, np.float64), self.box):
            return None
        inliers = agree.ravel().astype(bool)
        ratio = float(np.count_nonzero(inliers)) / self._sown
        self._features = moved[kept][inliers]
        self.points = _moved(self.points, motion)
        self.box = _moved_box(self.box, motion)
        return Carried(points=self.points, box=self.box, inlier_ratio=ratio)

    def _sow(self, grey: Grey) -> None:
        """Take new corners of the face: inside the oval that the box holds, where hair and background are not."""
        (x0, y0), region = _region(grey, self.box, 0.0)
        self._sown = _MAX_FEATURES
        self._features = np.empty((0, 2), np.float32)
        if min(region.shape) < 8:
            return
        mask = np.zeros(region.shape, np.uint8)
        low, high = self.box[:2] - (x0, y0), self.box[2:] - (x0, y0)
        centre, half = (low + high) / 2, (high - low) / 2 * np.float32(0.85)
        oval = (float(centre[0]), float(centre[1])), (float(2 * half[0]), float(2 * half[1])), 0.0
        cv2.ellipse(mask, oval, (255,), -1)
        apart_px = max(2.0, _SPACING * _side_px(self.box))
        found = cv2.goodFeaturesToTrack(region, _MAX_FEATURES, _QUALITY, apart_px, mask=mask)
        if found is None:
            return
        self._features = np.asarray(found.reshape(-1, 2) + np.array([x0, y0]), np.float32)
        self._sown = len(self._features)

    def _followed(self, before: Grey, now: Grey) -> tuple[Floats, NDArray[np.bool_]]:
        """Where the features are now (n, 2), and which of them come back to where they were."""
        origin, old = _region(before, self.box, _REACH)
        _, new = _region(now, self.box, _REACH)
        start = np.ascontiguousarray(self._features - np.array(origin, np.float32))
        window = (_WINDOW_PX, _WINDOW_PX)
        there, seen, _ = cv2.calcOpticalFlowPyrLK(
            old, new, start, start.copy(), winSize=window, maxLevel=_LEVELS, criteria=_STOP
        )
        back, returned, _ = cv2.calcOpticalFlowPyrLK(
            new, old, there, there.copy(), winSize=window, maxLevel=_LEVELS, criteria=_STOP
        )
        error_px = np.hypot(*(back - start).T)
        kept = (seen.ravel() == 1) & (returned.ravel() == 1) & np.isfinite(there).all(axis=1)
        kept &= error_px <= max(0.5, _RETURN_ERROR * _side_px(self.box))
        return np.asarray(there + np.array(origin, np.float32), np.float32), kept


def _region(grey: Grey, box: Floats, reach: float) -> tuple[tuple[int, int], Grey]:
    """The part of a picture around a box, and its upper left corner; of no size where the box lies outside."""
    margin = (box[2:] - box[:2]) * np.float32(reach)
    height_px, width_px = grey.shape
    limits = np.array([width_px, height_px], np.float32)
    low = np.clip(np.floor(box[:2] - margin), 0, limits).astype(int)
    high = np.clip(np.ceil(box[2:] + margin), 0, limits).astype(int)
    return (int(low[0]), int(low[1])), grey[low[1] : max(low[1], high[1]), low[0] : max(low[0], high[0])]


def _plausible(motion: NDArray[np.float64], box: Floats) -> bool:
    """Whether a face can have moved like this within one frame."""
    zoom = float(np.hypot(motion[0, 0], motion[1, 0]))
    if not np.isfinite(motion).all() or not 1 / _MAX_ZOOM < zoom < _MAX_ZOOM:
        return False
    middle = (box[:2] + box[2:]) / 2
    shift = motion[:, :2] @ middle + motion[:, 2] - middle
    return float(np.hypot(shift[0], shift[1])) < _MAX_SHIFT * _side_px(box)


def _moved(points: Floats, motion: NDArray[np.float64]) -> Floats:
    return np.asarray(points @ motion[:, :2].T + motion[:, 2], np.float32)


def _moved_box(box: Floats, motion: NDArray[np.float64]) -> Floats:
    """The box with its centre moved and its sides zoomed; it stays upright."""
    zoom = float(np.hypot(motion[0, 0], motion[1, 0]))
    middle = _moved(np.asarray((box[:2] + box[2:])[None] / 2, np.float32), motion)[0]
    half = (box[2:] - box[:2]) / 2 * np.float32(zoom)
    return np.concatenate([middle - half, middle + half])


def _side_px(box: Floats) -> float:
    return max(1.0, float((box[2:] - box[:2]).max()))

"""Face Mesh: 468 landmarks of one face in a turned square region. `face_tracker` calls it on every frame."""

from dataclasses import dataclass

import cv2
import numpy as np

from models.engines import Frame
from models.face_detector import Detection
from models.geometry import Floats, Roi, bounds, continues, distance, inside_share, iou
from models.runtime import Network

POINTS = 468
SAME_FACE_IOU = 0.25
"""How much the boxes of a detection and of the landmarks of the same face overlap at least."""

_SIZE_PX = 192
_MARGIN = 1.5  # MediaPipe's own: the region's side over the face's longer side
_MIN_PRESENCE = 0.5  # MediaPipe's own tracking threshold
_MIN_FACE_PX = 12.0
_MIN_ASPECT, _MAX_ASPECT = 0.35, 2.5
_MIN_INSIDE = 0.3
_STEADY = 0.08  # in face sides: a larger move in one frame asks for a second look
_LEFT_EYE, _RIGHT_EYE = 33, 263  # outer corners, left and right in the picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmarks:
    """`points` (468, 3) float32: x and y in pixels of the frame, z in the same scale, towards the viewer negative.

    `score` in [0, 1] says whether there is a face in the region at all, not how good the points are.
    """

    points: Floats
    score: float


class FaceLandmarker:
    """Finds landmarks with Google's face_landmark network (192 x 192)."""

    def __init__(self, network: Network) -> None:
        self._network = network
        sizes = {name: int(np.prod(shape)) for name, shape in network.output_shapes.items()}
        (self._points,) = [name for name, size in sizes.items() if size == POINTS * 3]
        (self._score,) = [name for name, size in sizes.items() if size == 1]
        self._tensor = np.empty((1, _SIZE_PX, _SIZE_PX, 3), np.float32)

    def locate(self, frame: Frame, roi: Roi) -> Landmarks:
        """Landmarks of the face in `roi` of `frame` (height, width, 3) BGR; beyond the frame its edge is repeated."""
        crop = cv2.warpAffine(
            frame, roi.to_crop(_SIZE_PX), (_SIZE_PX, _SIZE_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        np.multiply(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB), np.float32(1 / 255), out=self._tensor[0])
        outputs = self._network.run(self._tensor)
        points = outputs[self._points].reshape(POINTS, 3)
        back = roi.from_crop(_SIZE_PX)
        points[:, :2] = points[:, :2] @ back[:, :2].T + back[:, 2]
        points[:, 2] *= roi.size_px / _SIZE_PX
        logit = float(outputs[self._score].ravel()[0])
        return Landmarks(points=points, score=float(1 / (1 + np.exp(-np.clip(logit, -80, 80)))))

    def find(self, frame: Frame, detection: Detection) -> Landmarks | None:
        """Landmarks at a detection, the second look from the first one's points; None where they find no face."""
        found = self.locate(frame, roi_from_detection(detection))
        if not is_face(found, frame):
            return None
        found = self.locate(frame, roi_from_landmarks(found.points))
        there = is_face(found, frame) and float(iou(detection.box, bounds(found.points)[None])[0]) >= SAME_FACE_IOU
        return found if there else None

    def follow(self, frame: Frame, points: Floats) -> Landmarks | None:
        """Landmarks of the face that had `points` (468, 3) in the frame before; None when it is lost.

        Landmarks of a face off the region's middle are drawn towards it, so a face that moved is looked at twice.
        """
        found, before = self.locate(frame, roi_from_landmarks(points)), bounds(points)
        if is_face(found, frame) and float(distance(before, bounds(found.points)[None])[0]) > _STEADY:
            found = self.locate(frame, roi_from_landmarks(found.points))
        return found if is_face(found, frame) and continues(before, bounds(found.points)) else None


def roi_from_detection(detection: Detection) -> Roi:
    """The region to look for landmarks in, from a detection: its box, level with the eyes."""
    left, right = detection.keypoints[:2]
    x0, y0, x1, y1 = (float(value) for value in detection.box)
    angle = float(np.arctan2(right[1] - left[1], right[0] - left[0]))
    return Roi(x_px=(x0 + x1) / 2, y_px=(y0 + y1) / 2, size_px=max(x1 - x0, y1 - y0, 1.0) * _MARGIN, angle_rad=angle)


def roi_from_landmarks(points: Floats) -> Roi:
    """The region to look for landmarks in on the next frame, from this frame's points (468, 3)."""
    eyes = points[_RIGHT_EYE, :2] - points[_LEFT_EYE, :2]
    angle = float(np.arctan2(eyes[1], eyes[0]))
    cos, sin = np.cos(angle), np.sin(angle)
    level = np.array([[cos, -sin], [sin, cos]], np.float32)  # columns: the face's own x and y axes
    x0, y0, x1, y1 = bounds(points[:, :2] @ level)
    x, y = level @ np.array([(x0 + x1) / 2, (y0 + y1) / 2], np.float32)
    return Roi(
        x_px=float(x), y_px=float(y), size_px=max(float(x1 - x0), float(y1 - y0), 1.0) * _MARGIN, angle_rad=angle
    )


def is_face(found: Landmarks, frame: Frame) -> bool:
    """Whether landmarks can be those of a face: present, finite, not collapsed, not mostly outside the picture."""
    if found.score < _MIN_PRESENCE or not np.isfinite(found.points).all():
        return False
    box = bounds(found.points)
    width_px, height_px = (float(side) for side in box[2:] - box[:2])
    if height_px < _MIN_FACE_PX or not _MIN_ASPECT < width_px / height_px < _MAX_ASPECT:
        return False
    return inside_share(box, frame.shape[1], frame.shape[0]) >= _MIN_INSIDE

"""BlazeFace full range: boxes and six points of every face in a picture. `face_tracker` calls it, portraits too."""

from dataclasses import dataclass

import cv2
import numpy as np

from models.engines import Frame
from models.geometry import Floats, anchor_centres, weighted_nms
from models.runtime import Network

_SIZE_PX = 192
_STRIDE_PX = 4
_MIN_IOU = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One face: `box` (4,) x0 y0 x1 y1, brows to chin; `keypoints` (6, 2): the two eyes (left in the picture first),
    nose tip, mouth, the two ears; pixels of the frame, possibly outside it. `score` in [0, 1].
    """

    box: Floats
    keypoints: Floats
    score: float


class FaceDetector:
    """Finds faces with Google's face_detection_full_range_sparse network (192 x 192, one anchor a cell of 4 pixels)."""

    def __init__(self, network: Network) -> None:
        self._network = network
        shapes = network.output_shapes
        (self._boxes,) = [name for name, shape in shapes.items() if shape[-1] == 16]
        (self._scores,) = [name for name, shape in shapes.items() if shape[-1] == 1]
        self._anchors = np.tile(anchor_centres(_SIZE_PX, _STRIDE_PX) * _SIZE_PX, 8)
        self._tensor = np.empty((1, _SIZE_PX, _SIZE_PX, 3), np.float32)

    def detect(self, frame: Frame, min_score: float = 0.3) -> list[Detection]:
        """Faces of `frame` (height, width, 3) BGR with at least `min_score`, best first, overlapping ones merged."""
        height_px, width_px = frame.shape[:2]
        scale = _SIZE_PX / max(height_px, width_px)
        left_px, top_px = self._fill(frame, scale)
        outputs = self._network.run(self._tensor)
        logits = outputs[self._scores].ravel()
        likely = logits >= np.log(min_score / (1 - min_score))
        if not likely.any():
            return []
        rows = _decode(outputs[self._boxes][0, likely], self._anchors[likely])
        rows = (rows - np.tile([left_px, top_px], 8).astype(np.float32)) / np.float32(scale)
        scores = 1 / (1 + np.exp(-np.clip(logits[likely], -80, 80)))
        return [
            Detection(box=row[:4], keypoints=row[4:].reshape(6, 2), score=score)
            for row, score in weighted_nms(rows, scores, min_iou=_MIN_IOU)
        ]

    def _fill(self, frame: Frame, scale: float) -> tuple[int, int]:
        """Letterbox the frame into the network's input, in [-1, 1] RGB; returns where its corner lies."""
        height_px, width_px = (max(1, round(side * scale)) for side in frame.shape[:2])
        left_px, top_px = (_SIZE_PX - width_px) // 2, (_SIZE_PX - height_px) // 2
        small = cv2.resize(frame, (width_px, height_px), interpolation=cv2.INTER_AREA)
        rgb = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
        self._tensor.fill(-1.0)
        inner = self._tensor[0, top_px : top_px + height_px, left_px : left_px + width_px]
        np.multiply(rgb, np.float32(1 / 127.5), out=inner)
        inner -= 1.0
        return left_px, top_px


def _decode(raw: Floats, anchors: Floats) -> Floats:
    """Network rows (n, 16: centre and size, six points, from the anchor) to (n, 16: corners, six points) in pixels."""
    rows = raw + anchors
    half = raw[:, 2:4] / 2
    centre = rows[:, :2].copy()
    rows[:, :2], rows[:, 2:4] = centre - half, centre + half
    return np.asarray(rows, np.float32)

"""The likeness judge of the tests: SCRFD finds a face, ArcFace embeds it, the cosine says how alike two are.

Used by `test_likeness.py` and `bench/face_bench.py` only; the product never measures identity. Its weights are
research-only and live outside the repository, in `../shared/assets/models`.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.engines import Frame

DETECTOR_INPUT_PX = 640
DETECTOR_STRIDES = (8, 16, 32)
ANCHORS_PER_CELL = 2
MIN_SCORE = 0.5
NMS_IOU = 0.4

Embedding = NDArray[np.float32]

ARCFACE_TEMPLATE_PX = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float64
)
"""Eyes, nose tip and mouth corners in the 112 x 112 crop ArcFace was trained on (Deng et al., arXiv:1801.07698)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectedFace:
    """A SCRFD detection in pixels of the picture: score, box (x0, y0, x1, y1) and five points (5, 2)."""

    score: float
    box: NDArray[np.float32]
    points: NDArray[np.float32]


class FaceJudge:
    """SCRFD-500MF and ArcFace (MobileFaceNet, WebFace600K) on one thread each."""

    def __init__(self, models: Path) -> None:
        self._detector = _session(models / "det_500m.onnx")
        self._encoder = _session(models / "w600k_mbf_deq_fp32.onnx")

    def detect(self, picture: Frame) -> list[DetectedFace]:
        """Find the faces of a BGR picture, largest first."""
        ratio = DETECTOR_INPUT_PX / max(picture.shape[:2])
        resized = cv2.resize(picture, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_LINEAR)
        canvas = np.zeros((DETECTOR_INPUT_PX, DETECTOR_INPUT_PX, 3), np.uint8)
        canvas[: resized.shape[0], : resized.shape[1]] = resized
        blob = cv2.dnn.blobFromImage(canvas, 1 / 128, canvas.shape[:2], (127.5,) * 3, swapRB=True)
        outputs = self._detector.run(None, {self._detector.get_inputs()[0].name: blob})
        scores, boxes, points = _decode(outputs)
        keep = _suppress(scores, boxes)
        faces = [DetectedFace(score=float(scores[i]), box=boxes[i] / ratio, points=points[i] / ratio) for i in keep]
        return sorted(faces, key=lambda face: -float(np.prod(face.box[2:] - face.box[:2])))

    def embed(self, picture: Frame, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed the face whose five points are given: (512,), unit length."""
        crop = cv2.warpAffine(picture, _similarity(points), (112, 112), flags=cv2.INTER_LINEAR)
        blob = cv2.dnn.blobFromImage(crop, 1 / 127.5, (112, 112), (127.5,) * 3, swapRB=True)
        embedding = np.asarray(self._encoder.run(None, {self._encoder.get_inputs()[0].name: blob})[0][0], np.float32)
        return embedding / np.float32(np.linalg.norm(embedding))

    def embed_largest(self, picture: Frame) -> NDArray[np.float32] | None:
        """Embed the largest face, or None where there is none to recognise."""
        faces = self.detect(picture)
        return self.embed(picture, faces[0].points) if faces else None


def cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Likeness of two unit embeddings, -1..1."""
    return float(first @ second)


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _decode(outputs: list[NDArray[np.float32]]) -> tuple[NDArray[np.float32], ...]:
    """Turn SCRFD's nine maps into scores (n,), boxes (n, 4) and points (n, 5, 2) above `MIN_SCORE`."""
    scores, boxes, points = [], [], []
    for level, stride in enumerate(DETECTOR_STRIDES):
        score = outputs[level].reshape(-1)
        keep = np.flatnonzero(score >= MIN_SCORE)
        cells = DETECTOR_INPUT_PX // stride
        grid = np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), -1).reshape(-1, 2)
        centres = np.repeat(grid, ANCHORS_PER_CELL, 0)[keep].astype(np.float32) * stride
        sides = outputs[level + 3].reshape(-1, 4)[keep] * stride
        boxes.append(np.concatenate([centres - sides[:, :2], centres + sides[:, 2:]], 1))
        points.append(centres[:, None] + outputs[level + 6].reshape(-1, 5, 2)[keep] * stride)
        scores.append(score[keep])
    return np.concatenate(scores), np.concatenate(boxes), np.concatenate(points)


def _suppress(scores: NDArray[np.float32], boxes: NDArray[np.float32]) -> list[int]:
    if not len(scores):
        return []
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    kept = cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), MIN_SCORE, NMS_IOU)
    return [int(i) for i in np.asarray(kept).reshape(-1)]


def _similarity(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Least-squares similarity (2, 3) from five points to the template (Umeyama 1991, as a complex regression)."""
    source = points[:, 0].astype(np.float64) + 1j * points[:, 1]
    target = ARCFACE_TEMPLATE_PX[:, 0] + 1j * ARCFACE_TEMPLATE_PX[:, 1]
    centred = source - source.mean()
    turn = (np.conj(centred) @ (target - target.mean())) / (np.conj(centred) @ centred)
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])

"""What InsightFace's own classes give for the assets. Run: python -m tests.bench.measure_insightface TARGET.json

The tests compare ours with the file, so that they need no insightface: `pip install --no-deps insightface==2.1`, and
onnx, tqdm and requests for it, into a folder on PYTHONPATH.
"""

import json
import sys
from pathlib import Path
from typing import Any

import insightface
import numpy as np
from insightface.app.common import Face
from insightface.model_zoo.arcface_onnx import ArcFaceONNX
from insightface.model_zoo.scrfd import SCRFD

from tests.asset_frames import CLIPS, MODELS, picture
from tests.parity import projected

PICTURES = ("astronaut.png", *(f"{clip}@{index}" for clip in CLIPS for index in (5, 40, 70)))
DETECTORS = (("det_500m.onnx", 640), ("det_500m.onnx", 320), ("scrfd_2.5g_bnkps_static640.onnx", 640))
ENCODER = "w600k_mbf_deq_fp32.onnx"


def main(target: Path) -> None:
    """Write every detection, and projections of the embedding of every face that the first detector finds."""
    detections = {f"{name}@{size}": _detections(name, size) for name, size in DETECTORS}
    first = next(iter(detections.values()))
    document = {
        "made_by": f"tests/bench/measure_insightface.py with insightface {insightface.__version__}",
        "encoder": ENCODER,
        "detections": detections,
        "projections": {key: _projections(key, faces) for key, faces in first.items()},
    }
    target.write_text(json.dumps(document, indent=0) + "\n", "ascii")


def _detections(name: str, size_px: int) -> dict[str, list[dict[str, Any]]]:
    """Per picture its faces: score, box, points in pixels to a thousandth."""
    detector = SCRFD(model_file=str(MODELS / name))
    detector.prepare(-1, det_thresh=0.5, nms_thresh=0.4, input_size=(size_px, size_px))
    found = {}
    for key in PICTURES:
        boxes, points = detector.detect(picture(key), input_size=(size_px, size_px))
        found[key] = [
            {"score": round(float(box[4]), 5), "box": _rounded(box[:4]), "points": _rounded(five)}
            for box, five in zip(boxes, points, strict=True)
        ]
    return found


def _projections(key: str, faces: list[dict[str, Any]]) -> list[list[float]]:
    """Of the normalised embedding of each face, in their order, what `parity.projected` keeps: not the embedding."""
    encoder = ArcFaceONNX(model_file=str(MODELS / ENCODER))
    encoder.prepare(-1)
    out = []
    for face in faces:
        one = Face(kps=np.array(face["points"], np.float32))
        encoder.get(picture(key), one)
        out.append(projected(np.asarray(one.normed_embedding, np.float32)[None])[0])
    return [np.round(row, 6).tolist() for row in out]


def _rounded(numbers: Any) -> Any:
    return np.round(np.asarray(numbers, np.float64), 3).tolist()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What InsightFace's own classes gave for the assets, measured once by `tests/bench/measure_insightface.py`."""

import base64
import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FILE = Path(__file__).resolve().parent / "data" / "insightface_parity.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A face as InsightFace found it."""

    score: float
    box: NDArray[np.float64]
    points: NDArray[np.float64]


@functools.cache
def document() -> dict[str, Any]:
    """The file."""
    loaded: dict[str, Any] = json.loads(_FILE.read_text("ascii"))
    return loaded


def pictures() -> tuple[str, ...]:
    """Every picture that was measured."""
    return tuple(document()["embeddings"])


def faces(detector: str, picture: str) -> list[Reference]:
    """What `detector`, such as `det_500m.onnx@640`, found in a picture, best first."""
    found = document()["detections"][detector][picture]
    return [Reference(score=one["score"], box=np.array(one["box"]), points=np.array(one["points"])) for one in found]


def embeddings(picture: str) -> list[NDArray[np.float32]]:
    """Unit embeddings of the faces that det_500m found at 640, in its order."""
    return [np.frombuffer(base64.b64decode(text), "<f4") for text in document()["embeddings"][picture]]

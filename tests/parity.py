"""What InsightFace's own classes gave for the assets, measured once by `tests/bench/measure_insightface.py`."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROJECTIONS = 16
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
    return tuple(document()["projections"])


def faces(detector: str, picture: str) -> list[Reference]:
    """What `detector`, such as `det_500m.onnx@640`, found in a picture, best first."""
    found = document()["detections"][detector][picture]
    return [Reference(score=one["score"], box=np.array(one["box"]), points=np.array(one["points"])) for one in found]


def projections(picture: str) -> NDArray[np.float64]:
    """What `projected` gave for the faces that det_500m found at 640, in its order: (n, 16)."""
    return np.array(document()["projections"][picture], np.float64)


def projected(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """Unit embeddings (n, 512) on 16 fixed directions of no meaning: (n, 16), spread about as a cosine of strangers is.

    Enough to tell whether two networks agree; too little to be a template of somebody, since embeddings of people are
    kept in memory only.
    """
    directions = np.random.default_rng(512).standard_normal((512, PROJECTIONS)) / np.sqrt(512)
    return np.asarray(embeddings.astype(np.float64) @ directions)

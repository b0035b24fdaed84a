"""Made-up inputs for a voice's graph, to see that it runs: no recording, no torch. Used by `mirage-rtc voices test`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.coarse_pitch import coarse_pitch
from models.voice_graph import Rung, inputs, stretch_matrix

PITCH_HZ = 140.0


def probe(rung: Rung, feature_width: int, frame_samples: int) -> dict[str, NDArray[Any]]:
    """Inputs by name: random content at a steady pitch, the first speaker; always the same."""
    random = np.random.default_rng(rung.hop_ms)
    ports = inputs(rung, feature_width=feature_width, frame_samples=frame_samples)
    made: dict[str, NDArray[Any]] = {
        port.name: random.standard_normal(port.shape, np.float32) for port in ports if port.dtype == "float32"
    }
    made["coarse_pitch"] = np.full((1, rung.seen), coarse_pitch(np.array(PITCH_HZ)))
    made["pitch_hz"] = np.full((1, rung.decoded), PITCH_HZ, np.float32)
    made["phase"] = (np.arange(rung.decoded)[None] * PITCH_HZ / 100 % 1).astype(np.float32)
    made["stretch"] = stretch_matrix(rung, np.arange(rung.decoded, dtype=np.float64))
    made["speaker"] = np.zeros(1, np.int64)
    return made

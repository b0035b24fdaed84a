"""Made-up inputs for a voice's graphs, to see that they run; no torch. Used by `mirage-rtc voices test`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.coarse_pitch import coarse_pitch
from models.voice_graph import Port, Rung, decoder_inputs, latent_inputs

PITCH_HZ = 140.0

Feeds = dict[str, NDArray[Any]]


def latent_probe(rung: Rung, feature_width: int) -> Feeds:
    """Inputs by name: random content at a steady pitch, the first speaker; always the same."""
    made = _gaussian(latent_inputs(rung, feature_width=feature_width), rung.hop_ms)
    made["coarse_pitch"] = np.full(made["coarse_pitch"].shape, coarse_pitch(np.array(PITCH_HZ)))
    made["speaker"] = np.zeros(1, np.int64)
    return made


def decoder_probe(rung: Rung, frame_samples: int) -> Feeds:
    """Inputs by name: a random latent at a steady pitch, the first speaker; always the same."""
    made = _gaussian(decoder_inputs(rung, frame_samples=frame_samples), rung.hop_ms)
    made["pitch_hz"] = np.full((1, rung.decoded), PITCH_HZ, np.float32)
    made["phase"] = (np.arange(rung.decoded)[None] * PITCH_HZ / 100 % 1).astype(np.float32)
    made["speaker"] = np.zeros(1, np.int64)
    return made


def _gaussian(ports: tuple[Port, ...], seed: int) -> Feeds:
    """All ports in order, filled with noise; those of whole numbers are to be filled by the caller."""
    random = np.random.default_rng(seed)
    return {port.name: random.standard_normal(port.shape, np.float32) for port in ports}

"""What the embedded voice engines pass from analysis to synthesis: frames of a voice, 200 a second, and a gate.

numpy only. Shared by the WORLD engine (`models.world_voice_engine`) and the TD-PSOLA engine
(`models.psola_voice_engine`), and by what shapes and measures voices for both.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 24_000
FRAME_MS = 5
FRAME_SAMPLES = RATE_HZ * FRAME_MS // 1000
FFT_SIZE = 1024
BINS = FFT_SIZE // 2 + 1
F0_FLOOR_HZ = 71.0  # the least that FFT_SIZE holds three periods of
SILENT_PEAK = 1e-5  # -100 dBFS: nothing to analyse

_GATE_OPEN_DB, _GATE_SHUT_DB = -62.0, -74.0  # of full scale, over 15 ms

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Parameters of n consecutive frames, 5 ms apart."""

    f0_hz: Array
    """(n,), 0 where unvoiced."""
    power: Array
    """(n, BINS), power spectral envelope, > 0."""
    aperiodicity: Array
    """(n, BINS), amplitude share of noise, 0 to 1."""
    gain: Array
    """(n,), 0 (silence) to 1: what the noise gate leaves."""


def silent_frames(count: int) -> Frames:
    """Frames that sound like nothing."""
    return Frames(
        f0_hz=np.zeros(count),
        power=np.full((count, BINS), 1e-16),
        aperiodicity=np.ones((count, BINS)),
        gain=np.zeros(count),
    )


def gate(signal: Array, centres: Array) -> Array:
    """Gain per frame from the RMS of the 15 ms around each of `centres` (samples): an expander with a soft knee."""
    energy = np.concatenate([[0.0], np.cumsum(signal * signal)])
    centre = np.rint(centres).astype(int)
    reach = 3 * FRAME_SAMPLES // 2
    start, stop = np.clip(centre - reach, 0, len(signal)), np.clip(centre + reach, 0, len(signal))
    level_db = 10 * np.log10((energy[stop] - energy[start]) / (2 * reach) + 1e-20)
    return np.asarray(np.clip((level_db - _GATE_SHUT_DB) / (_GATE_OPEN_DB - _GATE_SHUT_DB), 0.0, 1.0))

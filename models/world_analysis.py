"""Streaming WORLD analysis: pitch, spectral envelope and aperiodicity of a voice, 200 times a second.

pyworld (Morise, Yokomori and Ozawa 2016; PyPI `pyworld-prebuilt`, MIT) analyses a sliding window; only the frames that
are new are kept, each once, with 30 ms of look-ahead. Called by `models.world_voice_engine` (streams) and by
`models.voice_match` (whole clips). The only module that imports pyworld.
"""

from dataclasses import dataclass

import numpy as np
import pyworld
from numpy.typing import NDArray

from models.pitch_track import REACH_MS, PitchTracker

RATE_HZ = 24_000
FRAME_MS = 5
FRAME_SAMPLES = RATE_HZ * FRAME_MS // 1000
LOOK_AHEAD_MS = 30
FFT_SIZE = 1024
BINS = FFT_SIZE // 2 + 1
F0_FLOOR_HZ = 71.0  # the least that FFT_SIZE holds three periods of

_CONTEXT_MS = 120
_SILENT_PEAK = 1e-5  # -100 dBFS: nothing to analyse
_GATE_OPEN_DB, _GATE_SHUT_DB = -62.0, -74.0  # of full scale, over 15 ms
_LARGEST_REFINEMENT = 0.1  # of log pitch

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """WORLD parameters of n consecutive frames, 5 ms apart."""

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


def analyse_clip(clip: Array) -> Frames:
    """Analyse a whole clip at 24 kHz, (n,) float64."""
    centres = np.arange(len(clip) // FRAME_SAMPLES, dtype=np.float64) * FRAME_SAMPLES
    times = centres / RATE_HZ
    coarse = PitchTracker(RATE_HZ).track(clip, centres, len(centres))
    return _measure(clip, _refine(clip, coarse, times), times)


def _measure(signal: Array, f0: Array, times: Array) -> Frames:
    power = pyworld.cheaptrick(signal, f0, times, RATE_HZ, f0_floor=F0_FLOOR_HZ, fft_size=FFT_SIZE)
    aperiodicity = pyworld.d4c(signal, f0, times, RATE_HZ, fft_size=FFT_SIZE)
    return Frames(f0_hz=f0, power=power, aperiodicity=aperiodicity, gain=_gate(signal, times))


def _gate(signal: Array, times: Array) -> Array:
    """Gain per frame from the RMS of the 15 ms around it: a downward expander with a soft knee."""
    energy = np.concatenate([[0.0], np.cumsum(signal * signal)])
    centre = np.rint(times * RATE_HZ).astype(int)
    reach = 3 * FRAME_SAMPLES // 2
    start, stop = np.clip(centre - reach, 0, len(signal)), np.clip(centre + reach, 0, len(signal))
    level_db = 10 * np.log10((energy[stop] - energy[start]) / (2 * reach) + 1e-20)
    return np.asarray(np.clip((level_db - _GATE_SHUT_DB) / (_GATE_OPEN_DB - _GATE_SHUT_DB), 0.0, 1.0))


class WorldAnalyser:
    """The sliding window of one stream."""

    def __init__(self, hop_ms: int) -> None:
        self._hop = RATE_HZ * hop_ms // 1000
        self._signal = np.zeros(RATE_HZ * (_CONTEXT_MS + hop_ms + LOOK_AHEAD_MS) // 1000)
        self._count = hop_ms // FRAME_MS
        ahead = (LOOK_AHEAD_MS - REACH_MS) // FRAME_MS
        frames = np.arange(self._count + ahead) + _CONTEXT_MS // FRAME_MS + 1
        self._centres = frames.astype(np.float64) * FRAME_SAMPLES
        self._times = self._centres[: self._count] / RATE_HZ
        self._tracker = PitchTracker(RATE_HZ)

    def push(self, hop: Array) -> Frames:
        """Take one hop at 24 kHz, give the hop's worth of frames that ended 30 ms before its end."""
        self._signal = np.concatenate([self._signal[self._hop :], hop])
        if float(np.max(np.abs(self._signal))) < _SILENT_PEAK:
            self._tracker.reset()
            return silent_frames(self._count)
        coarse = self._tracker.track(self._signal, self._centres, self._count)
        return _measure(self._signal, _refine(self._signal, coarse, self._times), self._times)


def _refine(signal: Array, coarse: Array, times: Array) -> Array:
    """StoneMask (instantaneous frequency of the harmonics), unless it walks away from the tracker's path."""
    fine = pyworld.stonemask(signal, coarse, times, RATE_HZ)
    leap = np.abs(np.log(np.maximum(fine, 1.0) / np.maximum(coarse, 1.0)))
    return np.where((coarse > 0) & (leap < _LARGEST_REFINEMENT), np.maximum(fine, F0_FLOOR_HZ), coarse)

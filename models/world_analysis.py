"""Streaming WORLD analysis: pitch, spectral envelope and aperiodicity of a voice, 200 times a second.

pyworld (Morise, Yokomori and Ozawa 2016; PyPI `pyworld-prebuilt`, MIT) analyses a sliding window; only the frames that
are new are kept, each once, with 30 ms of look-ahead. Called by `models.world_voice_engine`. The only
module that imports pyworld.
"""

import numpy as np
import pyworld
from numpy.typing import NDArray

from models.pitch_track import REACH_MS, PitchTracker
from models.voice_frames import (
    F0_FLOOR_HZ,
    FFT_SIZE,
    FRAME_MS,
    FRAME_SAMPLES,
    RATE_HZ,
    SILENT_PEAK,
    Frames,
    gate,
    silent_frames,
)

LOOK_AHEAD_MS = 30

_CONTEXT_MS = 120
_LARGEST_REFINEMENT = 0.1  # of log pitch

Array = NDArray[np.float64]


def analyse_clip(clip: Array) -> Frames:
    """Analyse a whole clip at 24 kHz, (n,) float64."""
    centres = np.arange(len(clip) // FRAME_SAMPLES, dtype=np.float64) * FRAME_SAMPLES
    times = centres / RATE_HZ
    coarse = PitchTracker(RATE_HZ).track(clip, centres, len(centres))
    return _measure(clip, _refine(clip, coarse, times), times)


def _measure(signal: Array, f0: Array, times: Array) -> Frames:
    power = pyworld.cheaptrick(signal, f0, times, RATE_HZ, f0_floor=F0_FLOOR_HZ, fft_size=FFT_SIZE)
    aperiodicity = pyworld.d4c(signal, f0, times, RATE_HZ, fft_size=FFT_SIZE)
    return Frames(f0_hz=f0, power=power, aperiodicity=aperiodicity, gain=gate(signal, times * RATE_HZ))


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
        if float(np.max(np.abs(self._signal))) < SILENT_PEAK:
            self._tracker.reset()
            return silent_frames(self._count)
        coarse = self._tracker.track(self._signal, self._centres, self._count)
        return _measure(self._signal, _refine(self._signal, coarse, self._times), self._times)


def _refine(signal: Array, coarse: Array, times: Array) -> Array:
    """StoneMask (instantaneous frequency of the harmonics), unless it walks away from the tracker's path."""
    fine = pyworld.stonemask(signal, coarse, times, RATE_HZ)
    leap = np.abs(np.log(np.maximum(fine, 1.0) / np.maximum(coarse, 1.0)))
    return np.where((coarse > 0) & (leap < _LARGEST_REFINEMENT), np.maximum(fine, F0_FLOOR_HZ), coarse)

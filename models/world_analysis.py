"""Streaming WORLD analysis: pitch, spectral envelope and aperiodicity of a voice, 200 times a second.

pyworld (Morise, Yokomori and Ozawa 2016; PyPI `pyworld-prebuilt`, MIT) analyses a sliding window; only the frames that
are new are kept, each once, with 30 ms of look-ahead. Called by `models.world_voice_engine` (streams) and by
`models.voice_match` (whole clips). The only module that imports pyworld.
"""

from dataclasses import dataclass

import numpy as np
import pyworld
from numpy.typing import NDArray

RATE_HZ = 24_000
FRAME_MS = 5
FRAME_SAMPLES = RATE_HZ * FRAME_MS // 1000
LOOK_AHEAD_MS = 30
FFT_SIZE = 1024
BINS = FFT_SIZE // 2 + 1
F0_FLOOR_HZ = 71.0
F0_CEIL_HZ = 600.0

_CONTEXT_MS = 120
_DIO_SPEED = 3  # DIO decimates by this; StoneMask refines on the full rate
_SILENT_PEAK = 1e-5  # -100 dBFS: nothing to analyse
_GATE_OPEN_DB, _GATE_SHUT_DB = -62.0, -74.0  # of full scale, over 15 ms
_JUMP_OCTAVES = 0.6
_OCTAVE_EVIDENCE = 0.92
_MEMORY_FRAMES = 10

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
    f0, times = pyworld.dio(clip, RATE_HZ, f0_floor=F0_FLOOR_HZ, f0_ceil=F0_CEIL_HZ, frame_period=float(FRAME_MS))
    return _measure(clip, pyworld.stonemask(clip, f0, times, RATE_HZ), times)


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


def _periodicity(signal: Array, centre: int, f0_hz: float) -> float:
    """Normalised correlation of the two neighbouring periods around `centre`, -1 to 1."""
    lag = int(round(RATE_HZ / f0_hz))
    start = centre - lag
    if start < 0 or centre + lag > len(signal):
        return -1.0
    before, after = signal[start:centre], signal[centre : centre + lag]
    return float(before @ after / (np.sqrt((before @ before) * (after @ after)) + 1e-12))


class WorldAnalyser:
    """The sliding window of one stream."""

    def __init__(self, hop_ms: int) -> None:
        self._hop = RATE_HZ * hop_ms // 1000
        self._signal = np.zeros(RATE_HZ * (_CONTEXT_MS + hop_ms + LOOK_AHEAD_MS) // 1000)
        first = _CONTEXT_MS // FRAME_MS + 1
        self._new = slice(first, first + hop_ms // FRAME_MS)
        self._last_f0_hz = 0.0
        self._since_voiced = _MEMORY_FRAMES

    def push(self, hop: Array) -> Frames:
        """Take one hop at 24 kHz, give the hop's worth of frames that ended 30 ms before its end."""
        self._signal = np.concatenate([self._signal[self._hop :], hop])
        count = self._new.stop - self._new.start
        if float(np.max(np.abs(self._signal))) < _SILENT_PEAK:
            self._since_voiced = _MEMORY_FRAMES
            return silent_frames(count)
        coarse, times = pyworld.dio(
            self._signal,
            RATE_HZ,
            f0_floor=F0_FLOOR_HZ,
            f0_ceil=F0_CEIL_HZ,
            frame_period=float(FRAME_MS),
            speed=_DIO_SPEED,
        )
        times = np.ascontiguousarray(times[self._new])
        f0 = pyworld.stonemask(self._signal, np.ascontiguousarray(coarse[self._new]), times, RATE_HZ)
        return _measure(self._signal, self._guard_octaves(f0, times), times)

    def _guard_octaves(self, f0: Array, times: Array) -> Array:
        """Undo leaps of about an octave that the waveform does not support."""
        guarded = f0.copy()
        for i, f0_hz in enumerate(f0):
            if f0_hz <= 0:
                self._since_voiced += 1
                continue
            if self._since_voiced < _MEMORY_FRAMES:
                guarded[i] = self._nearest_octave(float(f0_hz), int(round(times[i] * RATE_HZ)))
            self._last_f0_hz, self._since_voiced = guarded[i], 0
        return guarded

    def _nearest_octave(self, f0_hz: float, centre: int) -> float:
        leap = np.log2(f0_hz / self._last_f0_hz)
        if abs(leap) < _JUMP_OCTAVES:
            return f0_hz
        other = f0_hz / 2 if leap > 0 else f0_hz * 2
        if not F0_FLOOR_HZ <= other <= F0_CEIL_HZ or abs(np.log2(other / self._last_f0_hz)) > _JUMP_OCTAVES:
            return f0_hz
        supported = _periodicity(self._signal, centre, other)
        return other if supported > _OCTAVE_EVIDENCE * _periodicity(self._signal, centre, f0_hz) else f0_hz

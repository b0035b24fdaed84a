"""Streaming analysis for TD-PSOLA, in numpy alone: pitch, a smoothed spectrum and a noise gate, 200 times a second.

Grains carry the voiced sound itself; the spectrum serves the rest: unvoiced sound, whisper, breath, loudness and the
speaker's long-term colour. It is the power of a window of three periods, averaged over the width of one harmonic: the
first two steps of CheapTrick (Morise 2015), without its liftering. Called by `models.psola_voice_engine`.
"""

import numpy as np
from numpy.typing import NDArray

from models.pitch_track import REACH_MS, PitchTracker
from models.voice_frames import (
    BINS,
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
_UNVOICED_HZ = 300.0  # width of the average where there is no pitch
_FLOOR = 1e-16

Array = NDArray[np.float64]


def analyse_clip(clip: Array) -> Frames:
    """Analyse a whole clip at 24 kHz, (n,) float64."""
    centres = np.arange(len(clip) // FRAME_SAMPLES, dtype=np.float64) * FRAME_SAMPLES
    return _measure(clip, PitchTracker(RATE_HZ).track(clip, centres, len(centres)), centres)


def _measure(signal: Array, f0_hz: Array, centres: Array) -> Frames:
    """Where no pitch was found all is noise: copied as it is, a missed vowel would keep the speaker's own pitch."""
    f0_hz = np.where(f0_hz > 0, np.maximum(f0_hz, F0_FLOOR_HZ), 0.0)
    return Frames(
        f0_hz=f0_hz,
        power=_smooth_power(signal, np.where(f0_hz > 0, f0_hz, _UNVOICED_HZ), centres),
        aperiodicity=np.repeat(np.where(f0_hz > 0, 0.0, 1.0)[:, None], BINS, axis=1),
        gain=gate(signal, centres),
    )


def _smooth_power(signal: Array, width_hz: Array, centres: Array) -> Array:
    """(n, BINS) power density: Hann windows of three periods of `width_hz` (n,), averaged over that width."""
    offset = np.arange(FFT_SIZE) - FFT_SIZE // 2
    window = 0.5 + 0.5 * np.cos(2 * np.pi * np.clip(offset * width_hz[:, None] / (3 * RATE_HZ), -0.5, 0.5))
    window /= np.sqrt(np.square(window).sum(axis=1, keepdims=True))
    place = np.rint(centres).astype(np.intp)[:, None] + offset
    inside = (place >= 0) & (place < len(signal))
    grains = np.where(inside, signal[np.clip(place, 0, len(signal) - 1)], 0.0) * window
    grains -= window * (grains.sum(axis=1) / window.sum(axis=1))[:, None]  # no offset to smear over the first bins
    power = np.abs(np.fft.rfft(grains, axis=1)) ** 2
    return _averaged(power, width_hz * FFT_SIZE / RATE_HZ) + _FLOOR


def _averaged(power: Array, width_bins: Array) -> Array:
    """A running mean along frequency, `width_bins` (n,) wide, mirrored at 0 Hz and at the Nyquist frequency."""
    pad = int(width_bins.max()) // 2 + 2
    summed = np.cumsum(np.pad(power, ((0, 0), (pad, pad)), mode="reflect"), axis=1)

    def up_to(edge: Array) -> Array:
        below = np.floor(edge).astype(np.intp)
        low, high = np.take_along_axis(summed, below, 1), np.take_along_axis(summed, below + 1, 1)
        return np.asarray(low + (high - low) * (edge - below))

    middle, half = np.arange(BINS) + pad - 0.5, width_bins[:, None] / 2
    return (up_to(middle + half) - up_to(middle - half)) / width_bins[:, None]


class PsolaAnalyser:
    """The sliding window of one stream."""

    def __init__(self, hop_ms: int) -> None:
        self._hop = RATE_HZ * hop_ms // 1000
        self.origin = RATE_HZ * _CONTEXT_MS // 1000
        """The sample of `signal` at the last frame of the push before."""
        self.signal = np.zeros(self.origin + self._hop + RATE_HZ * LOOK_AHEAD_MS // 1000)
        self._count = hop_ms // FRAME_MS
        ahead = (LOOK_AHEAD_MS - REACH_MS) // FRAME_MS
        frames = np.arange(self._count + ahead) + 1
        self._centres = (self.origin + frames * FRAME_SAMPLES).astype(np.float64)
        self._tracker = PitchTracker(RATE_HZ)

    def push(self, hop: Array) -> Frames:
        """Take one hop at 24 kHz, give the hop's worth of frames that ended LOOK_AHEAD_MS before its end."""
        self.signal = np.concatenate([self.signal[self._hop :], hop])
        if float(np.max(np.abs(self.signal))) < SILENT_PEAK:
            self._tracker.reset()
            return silent_frames(self._count)
        f0_hz = self._tracker.track(self.signal, self._centres, self._count)
        return _measure(self.signal, f0_hz, self._centres[: self._count])

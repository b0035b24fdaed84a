"""Streaming sample-rate conversion by a rational factor: the voice engine's way into and out of its inner rate.

A polyphase windowed-sinc filter (Kaiser window) that carries its last samples from one block to the next, so that a
signal converted in blocks of any size is the signal converted at once. The delay is constant and known.
"""

from math import gcd

import numpy as np
from numpy.typing import NDArray

_KAISER_BETA = 8.0  # about 80 dB of stop band (Kaiser 1974)
_HALF_WIDTH = 24  # sinc zero crossings kept on each side, at the lower of the two rates
_ROLL_OFF = 0.93  # -6 dB point, as a part of the lower Nyquist frequency

Signal = NDArray[np.float64]


def _prototype(half_taps: int, cutoff: float, gain: float) -> Signal:
    """Odd-length low-pass filter of unit delay symmetry; `cutoff` in cycles per sample of the common rate."""
    n = np.arange(-half_taps, half_taps + 1)
    taps = 2 * cutoff * np.sinc(2 * cutoff * n) * np.kaiser(2 * half_taps + 1, _KAISER_BETA)
    return np.asarray(taps * (gain / taps.sum()), dtype=np.float64)


class Resampler:
    """Converts blocks from `from_hz` to `to_hz`; one per stream and direction."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        common = gcd(from_hz, to_hz)
        self._up, self._down = to_hz // common, from_hz // common
        slower = max(self._up, self._down)
        half_taps = 0 if slower == 1 else _HALF_WIDTH * slower
        taps = _prototype(half_taps, 0.5 * _ROLL_OFF / slower, float(self._up)) if half_taps else np.ones(1)
        self._width = -(-len(taps) // self._up)
        padded = np.zeros(self._width * self._up)
        padded[: len(taps)] = taps
        self._phases = padded.reshape(self._width, self._up).T[:, ::-1].copy()
        self._history = np.zeros(self._width - 1)
        self.delay_s = half_taps / (from_hz * self._up)

    def convert(self, block: Signal) -> Signal:
        """Convert one block of n samples into exactly n * to_hz / from_hz.

        Raises ValueError when that is not a whole number, since the filter's phase could not be carried.
        """
        if len(block) * self._up % self._down:
            raise ValueError(f"A block of {len(block)} samples does not convert to a whole number of samples.")
        signal = np.concatenate([self._history, block])
        self._history = signal[len(signal) - (self._width - 1) :]
        if not len(block):
            return np.zeros(0)
        windows = np.lib.stride_tricks.sliding_window_view(signal, self._width)
        out = np.empty(len(block) * self._up // self._down)
        for first in range(min(self._up, len(out))):
            start, phase = divmod(first * self._down, self._up)
            out[first :: self._up] = windows[start :: self._down] @ self._phases[phase]
        return out

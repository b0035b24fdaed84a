"""Streaming resampling by a ratio near 1 that may change from block to block without a seam. Used by `drift`.

A Farrow structure (Farrow 1988): the 32 taps of a Kaiser-windowed sinc are polynomials of the fractional position, so
that any position costs the same. At ratio 1 and whole positions it is a delay of 16 samples, bit by bit.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.engines import Samples

HALF_TAPS = 16
DELAY_SAMPLES = HALF_TAPS
"""What comes out is so many samples older than what goes in."""
_KAISER_BETA = 9.0
_DEGREE = 7
"""Of the polynomials: their error lies 100 dB under the signal."""


@lru_cache(maxsize=1)
def _coefficients() -> NDArray[np.float32]:
    """(taps, degree + 1): powers of the fractional position in [0, 1], lowest first."""
    at = 0.5 - 0.5 * np.cos(np.pi * (np.arange(64) + 0.5) / 64)  # Chebyshev nodes of [0, 1]
    taps = np.arange(1 - HALF_TAPS, HALF_TAPS + 1)
    away = taps[:, None] - at[None, :]
    window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0.0, 1 - (away / HALF_TAPS) ** 2))) / np.i0(_KAISER_BETA)
    fitted = np.polynomial.polynomial.polyfit(at, (np.sinc(away) * window).T, _DEGREE).T
    return np.ascontiguousarray(fitted, np.float32)


class Varispeed:
    """One stream. `step` input samples are taken for each output sample."""

    def __init__(self) -> None:
        self._past = np.zeros(2 * HALF_TAPS, np.float32)
        self._at = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether positions are whole, so that a step of 1 changes no bit."""
        return self._at == 0.0

    def flush(self) -> None:
        """Forget the samples that are still inside."""
        self._past = np.zeros_like(self._past)

    def convert(self, block: Samples, step: float) -> tuple[Samples, float]:
        """Resample a block: the samples, and how many input samples after the block's start the first one lies.

        The latter is negative, about -16. With a `step` of 1 at whole positions the block comes out as it went in.
        """
        signal = np.concatenate([self._past, block])
        self._past = signal[len(signal) - 2 * HALF_TAPS :]
        first = self._at - DELAY_SAMPLES
        if step == 1.0 and self._at == 0.0:
            return signal[HALF_TAPS : HALF_TAPS + len(block)], first
        count = max(0, int(np.ceil((len(block) - self._at) / step - 1e-9)))
        at = self._at + step * np.arange(count, dtype=np.float64)
        self._at = self._at + step * count - len(block)
        if abs(self._at) < 1e-9:
            self._at = 0.0
        return _interpolate(signal, at), first

    def homing_step(self, count: int, step: float) -> float:
        """`step`, or one nearer to 1 with which a block of `count` samples ends at a whole position."""
        faster = step - 1.0
        if faster < 0.0 and self._at <= -faster * count:
            return 1.0 - self._at / count
        if faster > 0.0 and 1.0 - self._at <= faster * count:
            return 1.0 + (1.0 - self._at) / max(1, count - 1)
        return step


def _interpolate(signal: Samples, at: NDArray[np.float64]) -> Samples:
    """The signal at fractional positions; position 0 is sample HALF_TAPS of `signal`."""
    whole = np.floor(at).astype(np.intp)
    part = (at - whole).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(signal, 2 * HALF_TAPS)
    rows = windows[1:] @ _coefficients()
    terms = rows[whole]
    out = terms[:, _DEGREE]
    for power in range(_DEGREE - 1, -1, -1):
        out = out * part + terms[:, power]
    return np.asarray(out, np.float32)

"""The One-Euro filter for a cloud of landmarks: still when the face is still, without lag when it moves.

Casiez, Roussel and Vogel, "1 euro Filter", CHI 2012. The trackers keep one a face.
"""

import numpy as np

from models.geometry import Floats

_DERIVATIVE_CUTOFF_HZ = 1.0
_MAX_GAP_S = 0.25
_MAX_LAG = 0.02


class OneEuro:
    """Low-pass whose cutoff is `min_cutoff_hz + beta * speed`; speed in per cent of the face's height a second.

    The defaults took away the flicker of a warped face at a mean lag of 0.1 % of its height in our measurements. Where
    a jerk of the head outruns the filter, no point lags by more than 2 % of the height: a late mask bares the face.
    """

    def __init__(self, *, min_cutoff_hz: float = 3.0, beta: float = 0.3) -> None:
        self._min_cutoff_hz = min_cutoff_hz
        self._beta = beta
        self._time_s: float | None = None
        self._points = np.empty(0, np.float32)
        self._velocity = np.empty(0, np.float32)

    def step(self, points: Floats, time_s: float, height_px: float) -> Floats:
        """Filter points (n, 2 or 3) measured at `time_s` of a face `height_px` high; returns a new array of that shape.

        The first points, and the first after a gap of 0.25 s or a step back in time, pass unchanged.
        """
        elapsed_s = 0.0 if self._time_s is None else time_s - self._time_s
        if self._time_s is None or not 0 <= elapsed_s <= _MAX_GAP_S:
            self._points, self._velocity = points.copy(), np.zeros_like(points)
        elif elapsed_s > 0:
            moved = points - self._points
            self._velocity += _share(_DERIVATIVE_CUTOFF_HZ, elapsed_s) * (
                moved / np.float32(elapsed_s) - self._velocity
            )
            speed = np.hypot(self._velocity[:, 0], self._velocity[:, 1]) * np.float32(100 / max(height_px, 1.0))
            cutoff_hz: Floats = np.float32(self._min_cutoff_hz) + np.float32(self._beta) * speed
            lag = (1 - _share(cutoff_hz, elapsed_s))[:, None] * moved
            length = np.maximum(np.hypot(lag[:, 0], lag[:, 1]), np.float32(1e-6))[:, None]
            self._points = points - lag * np.minimum(1, np.float32(_MAX_LAG * height_px) / length)
        self._time_s = time_s
        return self._points.copy()


def _share(cutoff_hz: float | Floats, elapsed_s: float) -> Floats:
    """How much of the new value a first-order low-pass takes after `elapsed_s`."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * np.asarray(cutoff_hz) * elapsed_s)), np.float32)

"""How loud the noise is in every band while somebody speaks: minimum statistics, streaming, without a voice detector.

Martin (2001), "Noise power spectral density estimation based on optimal smoothing and minimum statistics": speech
leaves every band now and then, so the least that a smoothed band fell to within 1.4 s is the noise, once corrected for
being a least. Sections and equations are named where they are used. Called by `models.denoiser`.
"""

import numpy as np
from numpy.typing import NDArray

STEP_MS = 10

_PARTS, _PART_STEPS = 8, 18
_SPAN_MEAN, _PART_MEAN = 0.902, 0.694  # M(D) of 144 and of 18 steps, table III
_SMOOTHING_MOST, _SMOOTHING_LEAST = 0.96, 0.3
_CORRECTION_LEAST = 0.7
_VARIANCE_SMOOTHING_MOST = 0.8
_BIAS_WEIGHT = 2.12
_STEADY_SLOPES = ((0.03, 8.0), (0.05, 4.0), (0.06, 2.0))
_SLOPE = 1.2
_FLOOR = 1e-16

Array = NDArray[np.float64]


class NoiseFloor:
    """The noise of one microphone, of `bands` bands."""

    def __init__(self, bands: int) -> None:
        self._smoothed = np.zeros(0)
        self._noise = np.zeros(bands)
        self._correction = 1.0
        self._mean, self._mean_square = np.zeros(bands), np.zeros(bands)
        self._least = np.full(bands, np.inf)
        self._part_least = np.full(bands, np.inf)
        self._parts = np.full((_PARTS, bands), np.inf)
        self._fell = np.zeros(bands, bool)
        self._step = 0

    def update(self, power: Array) -> Array:
        """Take the power spectrum of the next 10 ms, [bands]; gives the noise's, [bands], all above 0."""
        power = power + _FLOOR
        if not len(self._smoothed):
            self._smoothed, self._noise = power.copy(), power.copy()
            self._mean, self._mean_square = power.copy(), power * power
        spread = self._smooth(power)
        self._follow(spread)
        return self._noise

    def _smooth(self, power: Array) -> Array:
        """Equations 9 to 12 and 20 to 22; gives the inverse of the equivalent degrees of freedom."""
        ratio = self._smoothed.sum() / power.sum() - 1
        self._correction = 0.7 * self._correction + 0.3 * max(1 / (1 + ratio * ratio), _CORRECTION_LEAST)
        excess = self._smoothed / self._noise - 1
        keep = np.maximum(_SMOOTHING_MOST * self._correction / (1 + excess * excess), _SMOOTHING_LEAST)
        self._smoothed = keep * self._smoothed + (1 - keep) * power
        keep = np.minimum(keep * keep, _VARIANCE_SMOOTHING_MOST)
        self._mean = keep * self._mean + (1 - keep) * self._smoothed
        self._mean_square = keep * self._mean_square + (1 - keep) * self._smoothed**2
        variance = np.maximum(self._mean_square - self._mean**2, 0.0)
        return np.clip(variance / (2 * self._noise**2), 0.5 / 240, 0.5)

    def _follow(self, spread: Array) -> None:
        """Section VI: the least of the last 1.4 s in eight parts, so that a rise is followed within one more part."""
        bias = 1 + _BIAS_WEIGHT * np.sqrt(spread.mean())
        unbiased = self._smoothed * bias
        found = unbiased * _bias(spread, _PARTS * _PART_STEPS, _SPAN_MEAN)
        lower = found < self._least
        self._least = np.where(lower, found, self._least)
        self._part_least = np.where(lower, unbiased * _bias(spread, _PART_STEPS, _PART_MEAN), self._part_least)
        self._step += 1
        if self._step % _PART_STEPS:
            self._fell |= lower & (self._step % _PART_STEPS > 1)
            self._noise = np.minimum(self._part_least, np.minimum(self._parts.min(axis=0), self._noise_so_far()))
            return
        self._fell &= ~lower
        self._end_part(float(spread.mean()))

    def _noise_so_far(self) -> Array:
        """Before the first part is full there is only what was found in it."""
        return np.asarray(np.where(np.isinf(self._parts).all(axis=0), self._least, np.inf))

    def _end_part(self, spread: float) -> None:
        place = self._step // _PART_STEPS % _PARTS
        self._parts[place] = self._least
        least = self._parts.min(axis=0)
        slope = next((slope for limit, slope in _STEADY_SLOPES if spread < limit), _SLOPE)
        risen = self._fell & (self._part_least < slope * least) & (self._part_least > least)
        self._parts[:, risen] = self._part_least[risen]
        self._noise = self._parts.min(axis=0)
        self._fell[:] = False
        self._least[:] = np.inf
        self._part_least[:] = np.inf


def _bias(spread: Array, steps: int, mean: float) -> Array:
    """How much lower than the mean the least of so many steps is, equations 15 and 17."""
    freedom = (1 / spread - 2 * mean) / (1 - mean)
    return np.asarray(1 + (steps - 1) * 2 / freedom)

"""Takes steady noise out of a microphone's sound, with no delay, no weights and no random parts.

Every 10 ms a gain for each band is found from the noise floor (`noise_floor`) and the decision-directed signal-to-noise
ratio of Ephraim and Malah (1984), as a Wiener gain. The gains become a minimum-phase filter (Oppenheim and Schafer,
homomorphic), which delays nothing, and one filter glides into the next. So the hop does not matter either.
Called by `models.voice_front`.
"""

import numpy as np
from numpy.typing import NDArray

from models.noise_floor import STEP_MS, NoiseFloor

LEAST_GAIN = 0.1
"""-20 dB: what is left of the noise hides what else is left of it."""

_MEMORY = 0.9  # 0.98 in the paper, at steps of 16 ms and with half a window to look ahead: here it would be late
_LEAST_RATIO = 10**-2.5
_FALL = 0.1  # of the analysis window, at its newest end
_GLIDE = 0.25  # of a step
_SETTLING_STEPS = 30

Array = NDArray[np.float64]


class Denoiser:
    """One microphone, at 16 or 48 kHz."""

    def __init__(self, sample_rate_hz: int) -> None:
        self.step = sample_rate_hz * STEP_MS // 1000
        self._size = 1 << (2 * self.step - 1).bit_length()
        self._taps = self._size // 2
        self._window = _window(2 * self.step)
        falling = 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, self._taps // 2))
        self._taper = np.concatenate([np.ones(self._taps - len(falling)), falling])
        self._rise = np.minimum((np.arange(self.step) + 1) / (_GLIDE * self.step), 1.0)
        self._past = np.zeros(self._size - self.step)
        self._open = np.ones(self._size // 2 + 1, np.complex128)
        self._filter = self._open
        self._floor = NoiseFloor(self._size // 2 + 1)
        self._speech = np.zeros(self._size // 2 + 1)
        self._steps = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is filtered: sound passes as it is."""
        return self._filter is self._open

    def rest(self, block: Array) -> Array:
        """One step of sound that is not to be cleaned: glides to no filter, and begins anew the next time."""
        cleaned = self._through(block, self._open)
        self._floor = NoiseFloor(self._size // 2 + 1)
        self._steps = 0
        return cleaned

    def clean(self, block: Array) -> Array:
        """One step of sound, [step], without its noise; the same samples later, none later than they came."""
        recent = np.concatenate([self._past[len(self._past) - self.step :], block])
        power = np.abs(np.fft.rfft(recent * self._window, self._size)) ** 2
        gains = self._gains(power, self._floor.update(power))
        self._steps += 1
        return self._through(block, np.fft.rfft(self._minimum_phase(gains), self._size))

    def _gains(self, power: Array, noise: Array) -> Array:
        """Wiener gains, equations 51 and 14 of Ephraim and Malah; open at first, while the floor is being found."""
        ratio = power / noise
        expected = _MEMORY * self._speech / noise + (1 - _MEMORY) * np.maximum(ratio - 1, 0)
        expected = np.maximum(expected, _LEAST_RATIO)
        gains = expected / (1 + expected)
        self._speech = gains * gains * power
        least = max(LEAST_GAIN, 1 - self._steps / _SETTLING_STEPS)
        return np.maximum(gains, least)

    def _minimum_phase(self, gains: Array) -> Array:
        """The shortest filter of these gains, [taps]: the logarithm's cepstrum, folded forward in time."""
        cepstrum = np.fft.irfft(np.log(gains))
        cepstrum[1 : self._taps] *= 2
        cepstrum[self._taps + 1 :] = 0
        taps = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)))[: self._taps]
        return np.asarray(taps * self._taper)

    def _through(self, block: Array, filter_: NDArray[np.complex128]) -> Array:
        """From the last filter to this one within the block."""
        sound = np.concatenate([self._past, block])
        self._past = sound[self.step :]
        spectrum = np.fft.rfft(sound)
        if self._filter is filter_:
            return block
        before, self._filter = self._filter, filter_
        # The first samples of a circular product are wrong, as many as the filter has taps; the last step is not.
        old, new = np.fft.irfft(np.stack([spectrum * before, spectrum * filter_]))[:, -self.step :]
        return np.asarray(old + (new - old) * self._rise)


def _window(length: int) -> Array:
    """Hann's, pushed towards the newest sound: what has just begun is to be seen."""
    fall = round(length * _FALL)
    rise = np.sin(np.pi / 2 * (np.arange(length - fall) + 0.5) / (length - fall)) ** 2
    down = np.cos(np.pi / 2 * (np.arange(fall) + 0.5) / fall) ** 2
    window = np.concatenate([rise, down])
    return np.asarray(window / np.sqrt(np.square(window).sum()))

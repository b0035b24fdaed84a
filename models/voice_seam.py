"""The guard at the cuts of a voice stream: a cross-fade where the sound does not go on, and there only.

Every run of the decoder sees a little beyond its hop. Where the next hop begins as that promised, it is cut hard; where
it does not (another voice, lost input), 10 ms are faded and the seam is counted: the count says how good the stream is
(voice reference, section 5.3). Called by `models.rvc_voice_engine`.
"""

import numpy as np
from numpy.typing import NDArray

COMPARED_MS = 5
FADE_MS = 10
LEAST_CORRELATION = 0.9
AUDIBLE_POWER = 1e-7
"""Of full scale, -70 dB: below it correlation is chance and a cut is not heard."""

Array = NDArray[np.float32]


class SeamGuard:
    """One stream's cuts."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._compared = sample_rate_hz * COMPARED_MS // 1000
        fade = sample_rate_hz * FADE_MS // 1000
        # Equal power: two sounds that are not alike add up so.
        self._rise = np.sin(np.linspace(0, np.pi / 2, fade)).astype(np.float32)
        self._promised: Array | None = None
        self.fades = 0

    def join(self, hop: Array, promised: Array) -> Array:
        """The hop, faded in if it does not go on; `promised`, at least 10 ms, is what its run saw behind it."""
        before, self._promised = self._promised, promised.copy()
        if before is None or self._goes_on(before, hop):
            return hop
        self.fades += 1
        joined, fade = hop.copy(), len(self._rise)
        joined[:fade] = hop[:fade] * self._rise + before[:fade] * self._rise[::-1]
        return joined

    def _goes_on(self, before: Array, hop: Array) -> bool:
        one = before[: self._compared].astype(np.float64)
        other = hop[: self._compared].astype(np.float64)
        power, power_other = float((one**2).mean()), float((other**2).mean())
        if max(power, power_other) < AUDIBLE_POWER:
            return True
        return float((one * other).mean()) >= LEAST_CORRELATION * float(np.sqrt(power * power_other)) > 0

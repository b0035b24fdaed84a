"""The microphone's sample clock against ours: measured over seconds, corrected by resampling. Used by `audio_path`.

Four clocks meet in a call: the client's sample clock (its audio RTP timestamps), the client's wall clock (its sender
reports, which pair both), this server's monotonic clock, and the clock of whoever listens. Here the first is led over
to the third: behind this module a second of sound is 48000 samples of OUR clock, and so is a second of RTP timestamps
that we send. Which moment a sample is of is not told by its index but by the capture time that goes along with it, and
that is what our sender reports pair with our RTP timestamps. Nothing behind here has to let a queue grow, or starve,
because a sound card's quartz is off.

That has a price: frames of 20 ms of our clock slip through packets of 20 ms of another. While a clock is corrected,
sound waits for up to a packet more (`audio_path` counts it in from the start, so that the delay stays the same); hence
a clock that is hardly off is taken as it is, and sound leaves in its rhythm.
"""

import math
from collections import deque

import numpy as np

from mirage_rtc.varispeed import Varispeed
from models.engines import Samples

DRIFT_MAX = 0.005
"""The most that is corrected, 0.5 % (design §7); a pitch moves by 9 cents then."""
DEAD_BAND = 20e-6
"""A clock that is off by less is taken as it is, bit by bit."""
RAMP_PER_S = 100e-6
"""How fast the correction changes: the ear needs some 0.2 % to notice a step in pitch, so nobody hears this one."""
SPAN_MIN_S = 10.0
_KEPT_S = 120
_JUMP_S = 0.008
"""More than the largest drift makes of a second: the path changed, and what was measured before is of another one."""


class DriftMeter:
    """By how much a sample clock runs faster than ours: the slope of the fastest arrival in every second."""

    def __init__(self) -> None:
        self.drift: float | None = None
        self._fastest: tuple[float, float] | None = None
        self._second: int | None = None
        self._points: deque[tuple[float, float]] = deque(maxlen=_KEPT_S)

    def note(self, media_s: float, arrival_s: float) -> bool:
        """Something up to `media_s` of the sample clock was there at `arrival_s` of ours. True: measured anew."""
        transit_s, second = arrival_s - media_s, int(arrival_s)
        if second == self._second and self._fastest is not None:
            self._fastest = min(self._fastest, (transit_s, arrival_s))
            return False
        closed, self._fastest, self._second = self._fastest, (transit_s, arrival_s), second
        if closed is None:
            return False
        if self._points and abs(closed[0] - self._points[-1][1]) > _JUMP_S:
            self._points.clear()
        self._points.append((closed[1], closed[0]))
        return self._measure()

    def _measure(self) -> bool:
        """The median slope between all points (Theil 1950, Sen 1968), if it is known well enough to act on."""
        at_s, transit_s = np.array(self._points).T
        span_s = at_s[-1] - at_s[0]
        if span_s < SPAN_MIN_S:
            return False
        i, j = np.triu_indices(len(at_s), 1)
        slope = float(np.median((transit_s[j] - transit_s[i]) / (at_s[j] - at_s[i])))
        rest_s = transit_s - slope * at_s
        spread_s = 1.48 * float(np.median(np.abs(rest_s - np.median(rest_s))))
        error = 3.0 * spread_s * (12.0 / len(at_s)) ** 0.5 / span_s
        if error > max(DEAD_BAND, abs(slope) / 4):
            return False
        self.drift = max(-DRIFT_MAX, min(DRIFT_MAX, -slope))
        return True


class DriftCorrector:
    """One microphone's samples, led over to our clock."""

    def __init__(self, rate_hz: int) -> None:
        self.correction = 0.0
        """By how much more than real time is taken in for what is given out; 0.0002 for a clock 200 ppm fast."""
        self._rate_hz = rate_hz
        self._meter = DriftMeter()
        self._wanted = 0.0
        self._stream = Varispeed()

    def flush(self) -> None:
        """Forget the few samples that are inside."""
        self._stream.flush()

    def take(self, samples: Samples, *, capture_s: float, media_s: float, arrival_s: float) -> tuple[Samples, float]:
        """Samples captured from `capture_s` on, the last at `media_s` of their own clock: ours, and their capture."""
        if self._meter.note(media_s, arrival_s):
            self._aim(self._meter.drift or 0.0)
        step = self._step(len(samples))
        converted, first = self._stream.convert(samples, step)
        return converted, capture_s + first / self._rate_hz

    def _aim(self, drift: float) -> None:
        """Begin above the dead band, end at half of it, so that a clock at its edge is not corrected off and on."""
        band = DEAD_BAND / 2 if self._wanted else DEAD_BAND
        self._wanted = drift if abs(drift) > band else 0.0

    def _step(self, count: int) -> float:
        """Input samples for each output sample of the next block."""
        most = RAMP_PER_S * count / self._rate_hz
        if not self._wanted and abs(self.correction) <= DEAD_BAND + most:
            return self._homing_step(count)
        self.correction += max(-most, min(most, self._wanted - self.correction))
        return 1.0 + self.correction

    def _homing_step(self, count: int) -> float:
        """Real time again, but not before the stream is where a step of 1 changes no bit."""
        if self._stream.is_whole:
            self.correction = 0.0
            return 1.0
        self.correction = math.copysign(max(DEAD_BAND, abs(self.correction)), self.correction)
        return self._stream.homing_step(count, 1.0 + self.correction)

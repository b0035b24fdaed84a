"""How long after its capture sound leaves: as late as the measured jitter needs, and no later. Kept by `playout`.

Every hop is ready some time after its capture: transport, decoding, waiting for its last sample, conversion. The lowest
of these times is the path's own; what exceeds it is jitter, and a cushion of up to three packets makes an even stream
of it. A quiet path needs none.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque

from mirage_rtc.clock import Clock

CUSHION_FRAMES = 3
CUSHION_MAX_S = 0.060
"""Three packets of 20 ms."""
WINDOW_S = 3.0
FALL_PER_S = 0.010
"""The cushion rises at once and falls so slowly that sound leaves at most 1 % faster than it was said: NetEq takes more
haste for jitter, and holds everything back for it. What falls faster falls by `cut`."""
_LOW, _HIGH = 0.05, 0.85
"""Which quantiles are the path's own delay and its delay with jitter. A twentieth of packets lost makes about a seventh
of all wait for the next: a cushion for these would cost every frame what few of them need."""
_REACH_S = 0.1
"""What is later than this is a stall: no cushion would have helped, so none is built for it."""


class Cushion:
    """The delay of one call's sound, by the last seconds."""

    def __init__(self, clock: Clock) -> None:
        self.delay_s = 0.0
        self._wanted_s = 0.0
        self._clock = clock
        self._noted: deque[tuple[float, float]] = deque()
        self._ordered: list[float] = []
        """The same delays, sorted: kept so, since every frame asks."""

    def note(self, ready_s: float) -> None:
        """A hop was ready `ready_s` after the capture of its first sample."""
        now_s = self._clock()
        since_s = now_s - self._noted[-1][0] if self._noted else None
        self._noted.append((now_s, ready_s))
        insort(self._ordered, ready_s)
        while self._noted[0][0] < now_s - WINDOW_S:
            _, old_s = self._noted.popleft()
            del self._ordered[bisect_left(self._ordered, old_s)]
        self._wanted_s = self._wanted()
        if since_s is None:
            self.delay_s = self._wanted_s
            return
        fallen_s = self.delay_s - FALL_PER_S * since_s
        self.delay_s = max(self._wanted_s, fallen_s)

    @property
    def surplus_s(self) -> float:
        """By how much sound leaves later than the jitter needs."""
        return self.delay_s - self._wanted_s

    def cut(self, seconds: float) -> None:
        """So much silence was left out: what comes after it leaves so much sooner."""
        self.delay_s -= seconds

    def renew(self) -> None:
        """The path is another now: measure afresh."""
        self._noted.clear()
        self._ordered.clear()

    def _wanted(self) -> float:
        """The path's own delay with the cushion that the jitter needs."""
        low_s = self._ordered[int(_LOW * len(self._ordered))]
        reached = bisect_right(self._ordered, low_s + _REACH_S)
        return min(low_s + CUSHION_MAX_S, self._ordered[int(_HIGH * reached)])

"""From which hop on a voice may be heard: the first that is as late as all later ones will be. Used by `playout`.

The first hops of a call are late: packets wait for the connection, the first jobs wait for the engine. Were they sent,
the receiver would take the haste that makes up for it for jitter, and hold everything back for half a minute (NetEq's
histogram of arrivals forgets slowly). Nobody misses what was said before the line stood. So nothing leaves until the
path is well: at once when a hop needed little more than its own length, else when none was ready sooner for a while.
"""

from mirage_rtc.clock import Clock
from mirage_rtc.cushion import Cushion

PROMPT_S = 0.03
"""A hop that is ready so soon after its last sample waited for nothing but its conversion."""
STEADY_S = 0.3
"""So long no hop may be ready sooner than before, by more than SOONER_S."""
SOONER_S = 0.005
LONGEST_S = 1.5
"""A path that has not come to rest by now will not."""


class Opening:
    """Decides when a call's voice begins; `cushion` measures only what comes from then on, or led up to it."""

    def __init__(self, cushion: Cushion, clock: Clock) -> None:
        self.is_over = False
        self._cushion = cushion
        self._clock = clock
        self._began_s: float | None = None
        self._soonest_s = float("inf")
        self._since_s = 0.0

    def note(self, ready_s: float, *, hop_s: float) -> None:
        """A hop `hop_s` long was ready `ready_s` after the capture of its first sample."""
        if self.is_over:
            return self._cushion.note(ready_s)
        now_s = self._clock()
        if self._began_s is None:
            self._began_s = now_s
        if ready_s < self._soonest_s - SOONER_S:
            self._soonest_s, self._since_s = ready_s, now_s
            self._cushion.renew()
        self._cushion.note(ready_s)
        prompt = ready_s <= hop_s + PROMPT_S
        steady = now_s - self._since_s >= STEADY_S and ready_s <= self._cushion.delay_s
        self.is_over = prompt or steady or now_s - self._began_s >= LONGEST_S
        return None

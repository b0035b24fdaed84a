"""When a peer was last heard: ends the 30 s that aiortc waits for a dead one. Asked by `rtc_leg`."""

from mirage_rtc.clock import Clock, monotonic_s


class Liveness:
    """The time since any RTP or RTCP came."""

    def __init__(self, clock: Clock = monotonic_s) -> None:
        self._clock = clock
        self.heard_s = clock()

    def hear(self) -> None:
        """Something came."""
        self.heard_s = self._clock()

    @property
    def silent_s(self) -> float:
        """Seconds of silence."""
        return self._clock() - self.heard_s

"""When a peer was last heard: ends the 30 s that aiortc waits for a dead one. Asked by `rtc_leg`."""

from collections import deque

from mirage_rtc.clock import Clock, monotonic_s

STEADY_PACKETS = 10
STEADY_S = 1.0
"""A peer that sent so many packets within so long is one that sends media all the time."""
STALLED_S = 0.6
"""Such a peer's silence after which its network must be away; Opus alone (DTX, RFC 7587 §3.1.3) pauses for 0.4 s."""


class Liveness:
    """The time since anything came that only the peer can have sent."""

    def __init__(self, clock: Clock = monotonic_s) -> None:
        self._clock = clock
        self._latest_s = deque((clock(),), STEADY_PACKETS)

    def hear(self) -> None:
        """Something came."""
        self._latest_s.append(self._clock())

    @property
    def silent_s(self) -> float:
        """Seconds of silence."""
        return self._clock() - self._latest_s[-1]

    @property
    def stalled(self) -> bool:
        """Whether a steady stream broke off: what is sent to such a peer is lost, or waits and comes in a heap."""
        steady = len(self._latest_s) == STEADY_PACKETS and self._latest_s[-1] - self._latest_s[0] < STEADY_S
        return steady and self.silent_s > STALLED_S

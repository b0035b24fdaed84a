"""Which packets of a video track are missing, when to ask for them, and when to stop asking. Used by `receiver`.

Stands in for `aiortc.rtcrtpreceiver.NackGenerator` (aiortc 1.16.0), which asks once for each, and for all others that
are missing along with it.
"""

import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_add, uint16_gt

FIRST_INTERVAL_S = 0.06
"""Before a retransmission told how long one takes."""
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.02, 0.25
ROUND_TRIPS = 1.5
"""So many round trips without an answer: the request or the answer was lost (half a round trip of jitter allowed)."""
PATIENCE_S = 0.2
MIN_TRIES, MAX_TRIES = 3, 8
MISSING_MAX = 64
"""More than this missing is an outage: a key frame is cheaper than all of them."""
_ANSWERS = 9


@dataclass(slots=True)
class _Missing:
    first_s: float = 0.0
    last_s: float = 0.0
    tries: int = 0


class NackList:
    """The missing packets of one track. `wants` says whether a sequence number is still of use."""

    def __init__(self, *, clock: Callable[[], float], wants: Callable[[int], bool]) -> None:
        self._clock = clock
        self._wants = wants
        self._newest: int | None = None
        self._missing: dict[int, _Missing] = {}
        self._answers_s: deque[float] = deque(maxlen=_ANSWERS)
        self._outage = False

    @property
    def waiting(self) -> bool:
        """Whether anything is missing."""
        return bool(self._missing)

    @property
    def interval_s(self) -> float:
        """How long to wait for a retransmission before asking again.

        The median of the times from first asking to arrival stands for the round trip: neither requests that were
        lost nor packets that were only late move it much.
        """
        if not self._answers_s:
            return FIRST_INTERVAL_S
        return min(MAX_INTERVAL_S, max(MIN_INTERVAL_S, ROUND_TRIPS * statistics.median(self._answers_s)))

    @property
    def tries(self) -> int:
        """How often to ask: for 200 ms, but three times on a slow path and eight on a fast one."""
        return min(MAX_TRIES, max(MIN_TRIES, round(PATIENCE_S / self.interval_s)))

    def add(self, packet: RtpPacket) -> bool:
        """Note an arrival and what it leaves missing. False: upstream must not ask, `receiver` does."""
        sequence = packet.sequence_number
        if self._newest is None:
            self._newest = sequence
        elif uint16_gt(sequence, self._newest):
            self._note_missing(uint16_add(self._newest, 1), sequence)
            self._newest = sequence
        elif (found := self._missing.pop(sequence, None)) is not None and found.tries:
            self._answers_s.append(self._clock() - found.first_s)
        return False

    def due(self) -> list[int]:
        """What to ask for now, in the order that upstream's writer needs (it cannot count down); it counts as asked."""
        self._forget_unwanted()
        now_s, interval_s, tries = self._clock(), self.interval_s, self.tries
        due = sorted(
            sequence
            for sequence, missing in self._missing.items()
            if missing.tries == 0 or (missing.tries < tries and now_s - missing.last_s >= interval_s)
        )
        for sequence in due:
            missing = self._missing[sequence]
            missing.first_s = missing.first_s if missing.tries else now_s
            missing.last_s, missing.tries = now_s, missing.tries + 1
        return due

    def gave_up(self) -> bool:
        """Whether something was asked for in vain since the last call, or too much is missing to ask for."""
        outage, self._outage = self._outage, False
        now_s, interval_s, tries = self._clock(), self.interval_s, self.tries
        vain = [
            sequence
            for sequence, missing in self._missing.items()
            if missing.tries >= tries and now_s - missing.last_s >= interval_s
        ]
        for sequence in vain:
            del self._missing[sequence]
        return outage or bool(vain)

    def clear(self) -> None:
        """The track goes on elsewhere: nothing before its next packet is missing."""
        self._newest = None
        self._missing.clear()

    def _note_missing(self, first: int, end: int) -> None:
        if uint16_add(end, -first) + len(self._missing) > MISSING_MAX:
            self._missing.clear()
            self._outage = True
            return
        while first != end:
            self._missing[first] = _Missing()
            first = uint16_add(first, 1)

    def _forget_unwanted(self) -> None:
        for sequence in [sequence for sequence in self._missing if not self._wants(sequence)]:
            del self._missing[sequence]

"""How long a hop of the neural voice is, by what hops cost: the spec's adaptation rules for sound, as a pure machine.

No clock and no I/O: a hop is told when it was converted, and time is the hops. One `HopLadder` belongs to one engine in
one call; the embedded voice has none. `voice_seat` holds it and tells it each hop's run time in the lane's worker;
`audio_path` cuts the next hop at `hop_ms`. On `FAILED` the seat begins the embedded voice, hops are silent until it is
open (never the raw voice), and the client is told. `over_budget` is shown there as "over 250 ms".
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum
from math import ceil
from statistics import fmean

from models.voice_graph import HOPS_MS

ACCEPT_BELOW = 0.65
GROW_ABOVE, GROW_HOPS = 0.75, 40
SHRINK_BELOW, SHRINK_HOPS = 0.55, 120
FAIL_ABOVE, FAIL_HOPS = 0.80, 40
"""The spec's numbers (Voice Pipeline, Adaptation Rules); ratios are run time over the length of the hop."""

P95_HOPS = 20
"""Of fewer hops the 95th percentile is their maximum, and one slow hop is no reason to move."""
PATIENCE_MOST = 8
"""A shrink that had to be taken back doubles how many calm hops the next one needs, up to so many times 120."""
IN_BUDGET_MS = 60
"""Longer hops take a call over 250 ms (voice reference, section 5.4)."""


class Move(Enum):
    """What a hop's run time led to."""

    GROW = "grow"
    SHRINK = "shrink"
    FAILED = "failed"


class HopLadder:
    """The rung in force for one engine in one call, and whether that engine is able at all."""

    def __init__(self, hops_ms: Sequence[int] = HOPS_MS, *, start_ms: int | None = None) -> None:
        """Hops in ms, shortest first, and the one to begin with (the shortest). ValueError for one not among them."""
        self._hops_ms = tuple(hops_ms)
        self._place = 0 if start_ms is None else self._hops_ms.index(start_ms)
        self._recent: deque[float] = deque(maxlen=SHRINK_HOPS * PATIENCE_MOST)
        self._slow = 0
        self._patience = 1
        self._shrunk = False
        self.failed = False
        self.hops = 0
        self.accepted = 0
        self.last_ratio = 0.0
        """Of the hop that was observed last."""

    @property
    def hop_ms(self) -> int:
        """The length of the next hop to be cut."""
        return self._hops_ms[self._place]

    @property
    def over_budget(self) -> bool:
        """Whether calls at this hop take more than 250 ms from mouth to ear."""
        return self.hop_ms > IN_BUDGET_MS

    @property
    def accept_ratio(self) -> float:
        """Share of all hops so far that ran below 0.65 of real time; 1 before the first."""
        return self.accepted / self.hops if self.hops else 1.0

    def observe(self, runtime_ms: float, *, hop_ms: int) -> Move | None:
        """Count one converted hop of `hop_ms`, and say what is to be done before the next one.

        A hop cut before the last move still counts as slow or accepted, and says nothing about the rung in force.
        Nothing follows a failure. Raises ValueError for a hop of no length.
        """
        if hop_ms <= 0:
            raise ValueError("A hop has a length.")
        ratio = self.last_ratio = runtime_ms / hop_ms
        self.hops += 1
        self.accepted += ratio < ACCEPT_BELOW
        self._slow = self._slow + 1 if ratio > FAIL_ABOVE else 0
        if self.failed:
            return None
        if self._slow >= FAIL_HOPS:
            self.failed = True
            return Move.FAILED
        if hop_ms != self.hop_ms:
            return None
        self._recent.append(ratio)
        return self._step()

    def _step(self) -> Move | None:
        if self._too_slow() and self._place + 1 < len(self._hops_ms):
            return self._grow()
        if self._calm() and self._place > 0:
            return self._shrink()
        return None

    def _too_slow(self) -> bool:
        last = list(self._recent)[-GROW_HOPS:]
        if len(last) == GROW_HOPS and fmean(last) > GROW_ABOVE:
            return True
        return len(last) >= P95_HOPS and p95(last) > FAIL_ABOVE

    def _calm(self) -> bool:
        """Fast on average, and no hop in twenty that would have asked for the rung above."""
        wanted = SHRINK_HOPS * self._patience
        last = list(self._recent)[-wanted:]
        return len(last) == wanted and fmean(last) < SHRINK_BELOW and p95(last) < GROW_ABOVE

    def _grow(self) -> Move:
        if self._shrunk:
            self._patience = min(PATIENCE_MOST, 2 * self._patience)
        self._shrunk = False
        self._move(1)
        return Move.GROW

    def _shrink(self) -> Move:
        # Two shrinks in a row: the first one held, so that shrinking is as easy again as at the start.
        self._patience = 1 if self._shrunk else self._patience
        self._shrunk = True
        self._move(-1)
        return Move.SHRINK

    def _move(self, rungs: int) -> None:
        """To another rung; what hops took on the old one says nothing about it."""
        self._place += rungs
        self._recent.clear()


def p95(values: Sequence[float]) -> float:
    """The 95th percentile by nearest rank: of 20 values the second largest."""
    return sorted(values)[ceil(0.95 * len(values)) - 1]

"""How much an imported voice is fed between two hops, so that neither its own call nor another waits for it.

A quick voice is fed the last second, and catches up. One that could not catch up in time is begun afresh and follows
the call hop by hop, beside the voice that speaks, until it has heard a second, too. Pure: no clock, time is the hops.
`voice_seat` holds one for each voice that is prepared, `models.voice_change` does the steps.
"""

from models.voice_change import PAST_MS, Warming
from models.voice_graph import HOPS_MS

BUSY_MOST = 0.8
"""Of a hop, for converting it and for a step behind it; the rest is for what else the lane has to do."""
STEP_MOST_MS = HOPS_MS[-1]
MOST_MS = 1500
"""After so much sound the voice is changed, whatever the new one has heard by then."""
CATCHES_UP = 2
"""Hops' worth of sound in one step: with less, a second would take longer than `MOST_MS`."""
FORGETTING = 0.9
"""What a step cost says less and less: without another try one slow step would be the last."""


class WarmUp:
    """Towards one voice."""

    def __init__(self) -> None:
        self._cost = 0.0
        self._follows = False
        self._passed_ms = 0

    def step(self, *, hop_ms: int, run_ms: float, waits: bool) -> Warming:
        """What may be done behind a hop of `hop_ms` that took `run_ms`; nothing while others wait, until time is up."""
        if self._passed_ms >= MOST_MS:
            return Warming(most_ms=hop_ms, past_ms=hop_ms)
        left_ms = BUSY_MOST * hop_ms - run_ms
        if waits or left_ms <= 0:
            return self._none()
        if self._cost == 0:
            return Warming(most_ms=HOPS_MS[0])  # what it costs is not known yet
        most_ms = min(float(STEP_MOST_MS), left_ms / self._cost)
        self._follows = self._follows or most_ms < CATCHES_UP * hop_ms
        if not self._follows:
            return Warming(most_ms=int(most_ms))
        if most_ms < hop_ms:
            return self._none()
        return Warming(most_ms=hop_ms, past_ms=hop_ms, least_ms=PAST_MS)

    def note(self, *, hop_ms: int, fed_ms: int, run_ms: float) -> None:
        """A step behind a hop was done: so much was fed, and took so long."""
        self._passed_ms += hop_ms
        if fed_ms:
            self._cost = run_ms / fed_ms

    def _none(self) -> Warming:
        self._cost *= FORGETTING
        return Warming(most_ms=0)

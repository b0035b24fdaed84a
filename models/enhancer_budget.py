"""How often the enhancer may run, by what a frame costs of the time between frames: shed before anything else.

The specification's hysteresis: over 0.80 none, over 0.75 less often, back one step after 300 frames under 0.60. Pure:
`enhancer_stage` feeds it the lane's frames.
"""

from collections import deque

OFF_RATIO, LESS_RATIO, CALM_RATIO = 0.80, 0.75, 0.60
WINDOW_FRAMES = 40
"""What is sustained: the specification counts so many in a row before it grows anything."""
CALM_FRAMES = 300
CADENCES = (1, 2, 3, 4)
"""Every frame, every second one, ..."""
_LONGEST_S = 0.2
"""Of a pause between frames: nobody was there, which is no calm."""


class EnhancerBudget:
    """`every`: the enhancer may run on each `every`th frame; 0: not at all."""

    def __init__(self) -> None:
        self.every = CADENCES[0]
        self._frames: deque[tuple[float, float]] = deque(maxlen=WINDOW_FRAMES)
        self._calm = 0
        self._run_s = 0.0

    @property
    def ratio(self) -> float:
        """Cost over real time of the last frames; 0 without any."""
        interval_s = sum(interval_s for _, interval_s in self._frames)
        return sum(cost_s for cost_s, _ in self._frames) / interval_s if interval_s else 0.0

    def ran(self, run_s: float) -> None:
        """An enhancer run took so long, all its faces together."""
        self._run_s = run_s if self._run_s == 0.0 else 0.9 * self._run_s + 0.1 * run_s

    def frame(self, cost_s: float, interval_s: float) -> None:
        """A frame of the lane cost `cost_s` of wall time, `interval_s` after the one before it."""
        self._frames.append((cost_s, min(max(interval_s, cost_s), _LONGEST_S)))
        if len(self._frames) < WINDOW_FRAMES:
            return
        ratio = self.ratio
        self._calm = self._calm + 1 if ratio < CALM_RATIO else 0
        if ratio > OFF_RATIO and self.every:
            self._take(0)
        elif ratio > LESS_RATIO and self.every:
            self._take(self.every + 1 if self.every < CADENCES[-1] else 0)
        elif self._calm >= CALM_FRAMES and self.every != CADENCES[0] and self._fits(ratio):
            self._take(self._more)

    @property
    def _more(self) -> int:
        return self.every - 1 if self.every else CADENCES[-1]

    def _fits(self, ratio: float) -> bool:
        """Whether the next step up would stay: else it would come and go every few seconds, for all to see."""
        interval_s = sum(interval_s for _, interval_s in self._frames) / len(self._frames)
        added = 1 / self._more - (1 / self.every if self.every else 0)
        return ratio + added * self._run_s / interval_s < LESS_RATIO

    def _take(self, every: int) -> None:
        self.every, self._calm = every, 0
        self._frames.clear()

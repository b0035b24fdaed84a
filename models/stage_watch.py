"""What each stage of a frame costs, for the face engines."""

import time


class StageWatch:
    """Thread CPU time of each stage of a frame, ms; a stage met twice (two faces) adds up."""

    def __init__(self) -> None:
        self.stage_ms: dict[str, float] = {}
        self._last_s = time.thread_time()

    def mark(self, stage: str) -> None:
        """The stage that ends here takes all the time since the mark before."""
        now_s = time.thread_time()
        self.add(stage, (now_s - self._last_s) * 1000)
        self._last_s = now_s

    def add(self, stage: str, cost_ms: float) -> None:
        """A share of what was done for several frames at once."""
        self.stage_ms[stage] = self.stage_ms.get(stage, 0.0) + cost_ms

    def resume(self) -> None:
        """Other frames had the thread since the last mark: that time is nobody's stage here."""
        self._last_s = time.thread_time()

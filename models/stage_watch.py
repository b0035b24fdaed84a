"""What each stage of a frame or hop costs, for the engines."""

import time


class StageWatch:
    """Thread CPU time of each stage of a frame, ms, and how long it took by the clock, which is more while a GPU works.

    A stage met twice (two faces) adds up.
    """

    def __init__(self) -> None:
        self.stage_ms: dict[str, float] = {}
        self.wall_ms: dict[str, float] = {}
        self.resume()

    def mark(self, stage: str) -> None:
        """The stage that ends here takes all the time since the mark before."""
        last_s, last_wall_s = self._last_s, self._last_wall_s
        self.resume()
        self.add(stage, (self._last_s - last_s) * 1000, (self._last_wall_s - last_wall_s) * 1000)

    def add(self, stage: str, cost_ms: float, took_ms: float = 0.0) -> None:
        """A share of what was done for several frames at once, and the time that it took, which is everybody's."""
        self.stage_ms[stage] = self.stage_ms.get(stage, 0.0) + cost_ms
        self.wall_ms[stage] = self.wall_ms.get(stage, 0.0) + took_ms

    def resume(self) -> None:
        """Other frames had the thread since the last mark: that time is nobody's stage here."""
        self._last_s = time.thread_time()
        self._last_wall_s = time.perf_counter()

"""A deadline that does not count the wait for a CPU: tells a starved worker from a hung one. Used by `inference`.

To kill a starved worker makes an overload worse: the next one has to load its engine and to warm up first.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

Waits = dict[str, float]
"""Seconds that each thread was ready to run and did not, since it began, by its id."""

STARVED_MAX_S = 6.0
"""Whatever a worker had to wait, it is killed after this."""
LOOK_AT = 1 / 3
"""The part of the limit after which waiting is counted: most jobs end earlier, and cost no look."""
STEP_S = 0.05
"""So much more time or less is not worth another look."""


def run_queue_waits(pid: int) -> Waits:
    """How long the threads of a process waited for a CPU; empty where the kernel does not say.

    The second number of /proc/<pid>/task/<tid>/schedstat, in ns (Linux, Documentation/scheduler/sched-stats.rst).
    """
    found: Waits = {}
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # a thread may end meanwhile
            found[path.parent.name] = int(path.read_text(encoding="ascii").split()[1]) / 1e9
    return found


class Deadline:
    """Calls `on_over` once, when `limit_s` of a worker's own time are over, unless it is cancelled before.

    A worker's own time runs while it computes, and while it sleeps or hangs; it stands still while the worker waits for
    a CPU (its thread that waited most). After `STARVED_MAX_S`, or `limit_s` if that is more, it is over in any case.
    """

    def __init__(self, limit_s: float, *, waits: Callable[[], Waits], on_over: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit_s = limit_s
        self._waits = waits
        self._on_over = on_over
        self._began_s = self._loop.time()
        self._last_s = self._began_s + max(limit_s, STARVED_MAX_S)
        self._before: Waits = {}
        self._timer = self._loop.call_later(limit_s * LOOK_AT, self._look)

    def cancel(self) -> None:
        """The worker answered."""
        self._timer.cancel()

    def _look(self) -> None:
        self._before = self._waits()
        self._judge_at(self._began_s + self._limit_s)

    def _judge_at(self, due_s: float) -> None:
        self._timer = self._loop.call_at(due_s, self._judge, due_s)

    def _judge(self, due_s: float) -> None:
        now_s = self._loop.time()
        ends_s = self._began_s + self._limit_s + self._waited_s()
        if now_s - due_s > STEP_S:  # the loop was held up, and with it the thread that takes the answer
            ends_s = max(ends_s, now_s + 2 * STEP_S)
        ends_s = min(ends_s, self._last_s)
        if ends_s - now_s < STEP_S:
            return self._on_over()
        return self._judge_at(ends_s)

    def _waited_s(self) -> float:
        """What the thread that waited most waited since the first look; one that began since then waits for work."""
        now = self._waits()
        return max((now[each] - before_s for each, before_s in self._before.items() if each in now), default=0.0)

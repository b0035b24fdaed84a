"""Time that does not pass but jumps: a clock set by hand, and an event loop whose clock leaps to the next timer.

For tests of gates, limits and adaptation: an hour of timers costs the CPU they use. Sockets and threads still work,
but a thread's work takes no virtual time: the loop only leaps when nothing is ready.
"""

import asyncio
import contextlib
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

T = TypeVar("T")


class FakeClock:
    """Monotonic seconds that move only when told to; call it to read it."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> float:
        """Move forward and say what time it is; time never runs backwards."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self.now_s += seconds
        return self.now_s


class LeapingSelector:
    """A selector that, instead of sleeping until the next timer, advances the clock to it."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._inner = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Ready files at once; else leap by `timeout`; with no timer at all, wait for a file or a thread."""
        if timeout is None:
            return self._inner.select(None)
        ready = self._inner.select(0)
        if not ready and timeout > 0:
            self._clock.advance(timeout)
        return ready

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def new_loop(clock: FakeClock) -> asyncio.AbstractEventLoop:
    """An event loop that lives in the time of `clock`."""
    loop = asyncio.SelectorEventLoop(cast(selectors.BaseSelector, LeapingSelector(clock)))
    setattr(loop, "time", clock)  # noqa: B010 - mypy refuses a plain assignment to a method
    return loop


def run(main: Coroutine[Any, Any, T], clock: FakeClock | None = None) -> T:
    """Run to the end in virtual time; every task that is left over is cancelled and awaited."""
    with contextlib.closing(new_loop(clock or FakeClock())) as loop:
        try:
            return loop.run_until_complete(main)
        finally:
            loop.run_until_complete(_cancel(asyncio.all_tasks(loop)))


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

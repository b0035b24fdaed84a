"""Virtual time keeps the order of timers and costs none of the real one."""

import asyncio
import time

import pytest

from tests.virtual_time import FakeClock, run


def test_an_hour_passes_for_the_price_of_its_timers() -> None:
    """Sleeping an hour uses next to no CPU time and moves the clock by an hour."""
    clock = FakeClock()
    cpu_s = time.process_time()

    run(asyncio.sleep(3600), clock)

    assert clock() == pytest.approx(4600)
    assert time.process_time() - cpu_s < 1


def test_timers_fire_in_order_and_timeouts_work() -> None:
    """Concurrent sleeps end by their due time, and `asyncio.timeout` cuts a longer one off."""
    seen: list[str] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append(name)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for name, seconds in (("late", 3.0), ("early", 1.0), ("middle", 2.0)):
                group.create_task(wait(name, seconds))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await wait("never", 6)

    run(main())
    assert seen == ["early", "middle", "late"]


def test_a_thread_is_waited_for() -> None:
    """Work in a thread is awaited in real time when no timer is due."""

    async def main() -> int:
        return await asyncio.to_thread(lambda: 7)

    assert run(main()) == 7


def test_tasks_left_over_are_cancelled() -> None:
    """A task that outlives the main one is cancelled and gets to clean up."""
    ended: list[bool] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(1e9)
        finally:
            ended.append(True)

    async def main() -> None:
        task = asyncio.create_task(forever())
        await asyncio.sleep(0)
        assert not task.done()

    run(main())
    assert ended == [True]


def test_time_does_not_run_backwards() -> None:
    """The fake clock refuses to go back."""
    with pytest.raises(ValueError, match="backwards"):
        FakeClock().advance(-1)

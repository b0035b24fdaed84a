"""A deadline that tells a starved worker from a hung one: in virtual time, and by what the kernel says of real ones."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from mirage_rtc.starvation import STARVED_MAX_S, STEP_S, Deadline, Waits, run_queue_waits
from tests import virtual_time
from tests.virtual_time import FakeClock

LIMIT_S = 1.5
linux = pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="the kernel has no schedstat")


def _ended_after_s(waits: Callable[[float], Waits], *, limit_s: float = LIMIT_S) -> float:
    """How long a worker is let live whose threads have waited `waits(seconds)` so long after the job's start."""
    clock = FakeClock()
    began_s = clock()

    async def live() -> float:
        over = asyncio.Event()
        Deadline(limit_s, waits=lambda: waits(clock() - began_s), on_over=over.set)
        await over.wait()
        return clock() - began_s

    return virtual_time.run(live(), clock)


def test_a_worker_that_sleeps_is_ended_at_the_limit() -> None:
    """It waits for no CPU: what it waited before the job does not count."""
    assert _ended_after_s(lambda _: {"1": 3600.0}) == pytest.approx(LIMIT_S)


def test_without_the_kernels_word_the_limit_is_the_limit() -> None:
    """Elsewhere than on Linux, and when the process is gone."""
    assert _ended_after_s(lambda _: {}) == pytest.approx(LIMIT_S)


def test_a_worker_that_computes_without_end_is_ended_after_so_much_of_its_own_time() -> None:
    """It shares its CPU with another: half of the time since the first look is its own."""
    ended_s = _ended_after_s(lambda seconds: {"1": seconds / 2})
    own_s = 0.5 + (ended_s - 0.5) / 2
    assert LIMIT_S - 2 * STEP_S < own_s < LIMIT_S + 2 * STEP_S


def test_a_starved_worker_gets_its_time_but_not_for_ever() -> None:
    """It waits nine tenths of the time: it would be ended at 10 s, and is at the most that anybody gets."""
    assert _ended_after_s(lambda seconds: {"1": 0.9 * seconds}) == pytest.approx(STARVED_MAX_S, abs=STEP_S)


def test_a_moment_of_starvation_moves_the_end_by_a_moment() -> None:
    """0.7 s without a CPU are 0.7 s more."""
    assert _ended_after_s(lambda seconds: {"1": min(0.7, max(0.0, seconds - 0.6))}) == pytest.approx(LIMIT_S + 0.7)


def test_the_thread_that_waited_most_counts() -> None:
    """The one that holds the pipe sleeps while those of the engine are starved; waits of several are not added up."""
    assert _ended_after_s(lambda seconds: {"1": 0.0, "2": min(seconds, 1.0), "3": min(seconds, 0.9)}) == pytest.approx(
        LIMIT_S + 0.5
    )


def test_a_longer_limit_is_kept() -> None:
    """An engine that takes 60 s to load is not ended at 6 s, starved or not."""
    assert _ended_after_s(lambda seconds: {"1": seconds}, limit_s=60.0) == pytest.approx(60.0)


def test_a_loop_that_was_held_up_looks_once_more() -> None:
    """The answer may be there already: nobody is killed because we were late to take it."""

    clock = FakeClock()

    async def held_up() -> bool:
        over: list[None] = []
        deadline = Deadline(0.1, waits=dict, on_over=lambda: over.append(None))
        await asyncio.sleep(0.06)
        clock.advance(0.2)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        deadline.cancel()
        return bool(over)

    assert not virtual_time.run(held_up(), clock)


def test_an_answer_in_time_ends_the_deadline() -> None:
    """After `cancel` nothing comes, before and after the first look."""

    async def answered(after_s: float) -> list[None]:
        over: list[None] = []
        deadline = Deadline(LIMIT_S, waits=dict, on_over=lambda: over.append(None))
        await asyncio.sleep(after_s)
        deadline.cancel()
        await asyncio.sleep(60)
        return over

    assert [virtual_time.run(answered(after_s)) for after_s in (0.1, 1.4)] == [[], []]


@linux
def test_the_kernel_tells_who_waits_for_a_cpu() -> None:
    """Of two processes on one CPU that compute, each waits; one that sleeps does not."""
    cpu = min(os.sched_getaffinity(0))
    pin = f"import os, time; os.sched_setaffinity(0, {{{cpu}}}); print(flush=True)\n"
    programs = (pin + "while True: pass", pin + "while True: pass", pin + "time.sleep(600)")
    running = [subprocess.Popen((sys.executable, "-c", program), stdout=subprocess.PIPE) for program in programs]
    try:
        for each in running:
            assert each.stdout is not None
            each.stdout.readline()  # from here on it computes, or sleeps: what it waited for to start is not counted
        before = [_waited_s(each) for each in running]
        ends_s = time.monotonic() + 60
        waited_s = [0.0, 0.0, 0.0]
        while min(waited_s[:2]) <= 0.5 and time.monotonic() < ends_s:
            time.sleep(0.1)
            waited_s = [_waited_s(each) - then_s for each, then_s in zip(running, before, strict=True)]
    finally:
        for each in running:
            each.kill()
            each.communicate()

    assert min(waited_s[:2]) > 0.5
    assert waited_s[2] < 0.25  # the moment in which it said so and fell asleep


def _waited_s(process: "subprocess.Popen[bytes]") -> float:
    """Of its only thread."""
    return run_queue_waits(process.pid)[str(process.pid)]


def test_a_process_that_is_gone_waits_for_nothing() -> None:
    """No error, no numbers."""
    gone = subprocess.Popen((sys.executable, "-c", ""))
    gone.wait()
    assert run_queue_waits(gone.pid) == {}

"""Frames of several calls in one lane, over real worker processes: together, in order, late, and when it dies."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mirage_rtc.inference import EngineFailed, Lane, LaneDown, LaneState, Late, Served, WorkerLost
from mirage_rtc.lane_worker import LaneSpec

SPEC = LaneSpec(engine="tests.lane_jobs:NamedEngine", pipeline="tests.lane_jobs:BatchingPipeline")
PATIENT_S = 30.0


@asynccontextmanager
async def _lane(**options: Any) -> AsyncIterator[Lane]:
    lane = Lane("test", SPEC, **options)
    await lane.start()
    try:
        yield lane
    finally:
        await lane.close()


async def _busy(lane: Lane, seconds: float) -> "asyncio.Task[Served]":
    """Give the worker something to do, so that what comes now waits and goes together."""
    task = asyncio.create_task(lane.run_frame(("hang", seconds), call_id="busy", patience_s=PATIENT_S))
    while not lane._flying:  # it may wait for company first  # noqa: ASYNC110 - a lane sets no event
        await asyncio.sleep(0)
    return task


async def _frames(lane: Lane, jobs: Sequence[Any], *, patience_s: float = PATIENT_S) -> list[Any]:
    """Each job as a frame of a call of its own; what it raised stands in its place."""
    asked = (lane.run_frame(job, call_id=str(number), patience_s=patience_s) for number, job in enumerate(jobs))
    return await asyncio.gather(*asked, return_exceptions=True)


async def _until_ready(lane: Lane, epoch: int) -> None:
    async with asyncio.timeout(90):
        while lane.state != "ready" or lane.epoch < epoch:  # noqa: ASYNC110 - a lane sets no event
            await asyncio.sleep(0.01)
    lane._reply_timeout_s = PATIENT_S


async def test_frames_that_wait_for_a_busy_worker_go_together_and_each_gets_its_own_answer() -> None:
    """One of them raises, which costs nobody else his frame; each is told how many were done at once."""
    async with _lane() as lane:
        busy = await _busy(lane, 0.25)
        answers = await _frames(lane, [("echo", "a"), ("raise",), ("echo", "c"), ("together",)])
        await busy

    assert [getattr(answer, "value", None) for answer in answers] == ["a", None, "c", 4]
    assert isinstance(answers[1], EngineFailed)
    assert [answer.batch for answer in answers if isinstance(answer, Served)] == [4, 4, 4]
    assert all(answer.waited_ms > 0 for answer in answers if isinstance(answer, Served))


async def test_a_lone_frame_goes_alone_and_frames_of_one_call_never_together() -> None:
    """And what is no frame goes alone, in the order in which its call asked."""
    async with _lane() as lane:
        alone = await lane.run_frame(("together",), call_id="a", patience_s=PATIENT_S)
        busy = await _busy(lane, 0.25)
        own = [lane.run_frame(("together",), call_id="a", patience_s=PATIENT_S) for _ in range(3)]
        settling = lane.run(("together",), settling=True, call_id="b")
        after = lane.run_frame(("together",), call_id="b", patience_s=PATIENT_S)
        settled, last, first, second, third = await asyncio.gather(settling, after, *own)
        await busy

    assert (alone.value, alone.batch) == (1, 1)
    assert settled == 1
    assert [served.value for served in (last, first, second, third)] == [2, 2, 1, 1]


async def test_a_frame_that_waits_too_long_is_dropped_before_the_worker() -> None:
    """At once when its time is over, not when the worker is free; the worker never hears of it."""
    async with _lane(reply_timeout_s=PATIENT_S) as lane:
        before = await lane.run(("count",))
        busy = await _busy(lane, 1.5)
        late = await _frames(lane, [("count",)], patience_s=0.02)
        assert isinstance(late[0], Late)
        assert not busy.done()
        await busy
        assert await lane.run(("count",)) == before + 2
        assert lane.epoch == 1


async def test_a_frame_whose_caller_gave_up_is_not_done() -> None:
    """It leaves its place; one that is with the worker already is done for nobody, and shifts no answer."""
    async with _lane() as lane:
        before = await lane.run(("count",))
        busy = await _busy(lane, 0.3)
        waiting = asyncio.create_task(lane.run_frame(("count",), call_id="a", patience_s=PATIENT_S))
        await asyncio.sleep(0)
        for task in (waiting, busy):
            task.cancel()
        ends = await asyncio.gather(waiting, busy, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 2
        assert await lane.run(("count",)) == before + 2


def _kill(lane: Lane) -> None:
    assert lane._worker is not None
    assert lane._worker._process is not None
    lane._worker._process.kill()


@pytest.mark.parametrize(
    ("fault", "meanwhile"),
    [
        (("give up",), lambda _: None),
        (("exit",), lambda _: None),
        (("hang", 60), lambda _: None),
        (("hang", 60), _kill),
    ],
    ids=["system exit", "exits", "hangs", "kill -9"],
)
async def test_a_worker_that_dies_in_the_middle_of_a_batch_is_replaced(
    fault: Any, meanwhile: Callable[[Lane], None]
) -> None:
    """All who were in it are told, and all who waited; a new worker serves them, and nobody gets another's answer."""
    seen: list[LaneState] = []
    async with _lane(on_state=seen.append) as lane:
        busy = await _busy(lane, 0.1)
        lane._reply_timeout_s = 0.3
        batch = asyncio.create_task(_frames(lane, [("echo", 0), fault, ("echo", 2)]))
        await busy
        await asyncio.sleep(0)
        waiting = asyncio.create_task(_frames(lane, [("echo", 0)]))
        settling = asyncio.create_task(lane.run(("echo", "open"), settling=True, call_id="new"))
        await asyncio.sleep(0)
        meanwhile(lane)
        assert [type(answer) for answer in await batch] == [WorkerLost] * 3
        assert [type(answer) for answer in await waiting] == [LaneDown]
        with pytest.raises(LaneDown):
            await settling
        await _until_ready(lane, 2)
        again = await _frames(lane, [("echo", number) for number in range(4)])
        assert [answer.value for answer in again] == [0, 1, 2, 3]

    assert seen == ["ready", "restarting", "ready", "closed"]


async def test_a_worker_that_answers_in_another_order_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gets any of its answers: which is whose cannot be trusted."""
    boot = "import json, sys; sys.path[:] = json.loads(sys.argv[2]); from tests import lane_jobs; "
    boot += "lane_jobs.answer_in_disorder(int(sys.argv[1]))"
    monkeypatch.setattr("mirage_rtc.worker_process._BOOT", boot)
    async with _lane() as lane:
        alone = await lane.run_frame("mine", call_id="a", patience_s=PATIENT_S)
        both = await _frames(lane, ["a's", "b's"])
        assert [type(answer) for answer in both] == [WorkerLost] * 2

    assert alone.value == "mine"


async def test_closing_refuses_whoever_waits() -> None:
    """Those in flight and those in line."""
    async with _lane() as lane:
        busy = await _busy(lane, 20)
        waiting = asyncio.create_task(_frames(lane, [("echo", 1)]))
        await asyncio.sleep(0)
        await lane.close()
        with pytest.raises(LaneDown):
            await busy
        assert [type(answer) for answer in await waiting] == [LaneDown]

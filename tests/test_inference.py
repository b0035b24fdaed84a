"""The inference lane with real worker processes."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirage_rtc.errors import BadInput
from mirage_rtc.inference import EngineFailed, Lane, LaneDown, LaneState
from mirage_rtc.lane_worker import LaneSpec
from models.gpu_status import GpuMemory

SPEC = LaneSpec(engine="tests.lane_jobs:NamedEngine", pipeline="tests.lane_jobs:ObeyingPipeline")
PATIENT_S = 30.0
"""Of a worker that has shown what it was to show: from then on it may be as slow as it likes."""

NVML = """
import os
from types import SimpleNamespace as Answer

class NVMLError(Exception):
    pass

nvmlInit = lambda: None
nvmlDeviceGetHandleByIndex = lambda index: index
nvmlDeviceGetMemoryInfo = lambda handle: Answer(total=1000, used=300)
nvmlDeviceGetComputeRunningProcesses = lambda handle: [Answer(pid=os.getpid(), usedGpuMemory=200)]
"""
"""As much of NVIDIA's library as a worker asks."""


@asynccontextmanager
async def _lane(spec: LaneSpec = SPEC, **options: Any) -> AsyncIterator[Lane]:
    lane = Lane("test", spec, **options)
    await lane.start()
    try:
        yield lane
    finally:
        await lane.close()


async def _until_ready(lane: Lane, epoch: int) -> None:
    async with asyncio.timeout(90):
        while lane.state != "ready" or lane.epoch < epoch:  # noqa: ASYNC110 - a lane sets no event
            await asyncio.sleep(0.01)
    lane._reply_timeout_s = PATIENT_S


async def _until_flying(lane: Lane) -> None:
    """Wait until the worker has the job; not a turn of the loop longer, or it may be done with it."""
    async with asyncio.timeout(90):
        while not lane._flying:  # noqa: ASYNC110 - a lane sets no event
            await asyncio.sleep(0)


async def test_a_job_goes_to_another_process_and_its_answer_comes_back() -> None:
    """Arrays cross unharmed, and the engine's name is known."""
    picture = np.arange(600, dtype=np.uint8).reshape(20, 30)
    async with _lane() as lane:
        assert np.array_equal(await lane.run(("echo", picture)), picture)
        assert lane.engine_name == "named"


async def test_a_lane_is_idle_while_nobody_s_job_is_done() -> None:
    """Before one, and behind the last."""
    async with _lane() as lane:
        assert lane.is_idle
        job = asyncio.create_task(lane.run(("echo", 1)))
        await asyncio.sleep(0)
        assert not lane.is_idle
        assert await job == 1
        assert lane.is_idle


async def test_the_gpu_s_figures_come_with_an_answer_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the worker's own process; the first answer has them, those of the next seconds do not."""
    (tmp_path / "pynvml.py").write_text(NVML)
    monkeypatch.syspath_prepend(tmp_path)
    seen: list[GpuMemory] = []
    async with _lane(on_gpu=seen.append) as lane:
        assert [await lane.run(("echo", number)) for number in range(3)] == [0, 1, 2]

    assert seen == [GpuMemory(total=1000, used=300, process=200)]


async def test_a_worker_that_takes_too_long_to_start_is_ended() -> None:
    """How long is too long, the engine's own needs decide: TensorRT builds for minutes."""
    lane = Lane("test", replace(SPEC, warm_up=(("hang", 20),), start_timeout_s=0.7))
    with pytest.raises(LaneDown):
        await lane.start()
    await lane.close()


async def test_an_engine_that_raises_fails_its_job_only() -> None:
    """The lane stays, the text of the error does not cross (it may hold personal data)."""
    async with _lane() as lane:
        with pytest.raises(EngineFailed, match=r"^RuntimeError$"):
            await lane.run(("raise",))
        assert await lane.run(("echo", 1)) == 1
        assert lane.epoch == 1


async def test_input_that_is_refused_keeps_its_code_and_sentence() -> None:
    """A PortraitError in the lane is a BadInput here."""
    async with _lane() as lane:
        with pytest.raises(BadInput) as refused:
            await lane.run(("refuse",))

    assert refused.value.code == "portrait_no_face"


async def test_a_worker_that_exits_is_replaced() -> None:
    """The job is refused, jobs meanwhile are refused at once, and a new worker with fresh state takes over."""
    seen: list[LaneState] = []
    async with _lane(on_state=seen.append) as lane:
        with pytest.raises(LaneDown):
            await lane.run(("exit",))
        with pytest.raises(LaneDown):
            await lane.run(("echo", 1))
        await _until_ready(lane, 2)
        assert await lane.run(("count",)) == 1

    assert seen == ["ready", "restarting", "ready", "closed"]


async def test_a_worker_that_hangs_is_killed_and_replaced() -> None:
    """Nobody waits for the end of a hanging engine."""
    async with _lane(reply_timeout_s=0.2) as lane:
        with pytest.raises(LaneDown):
            await lane.run(("hang", 60))
        await _until_ready(lane, 2)
        assert await lane.run(("echo", "back")) == "back"


async def test_a_worker_that_got_no_cpu_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the kernel's word it only waited: its answer comes late, and it stays."""
    monkeypatch.setattr("mirage_rtc.worker_process.run_queue_waits", lambda _: {"1": time.monotonic()})
    async with _lane(reply_timeout_s=0.2) as lane:
        worker = lane._worker
        await lane.run(("hang", 1.0))
        assert lane._worker is worker
        assert await lane.run(("echo", "mine")) == "mine"


async def test_a_caller_that_gives_up_leaves_the_answers_in_order() -> None:
    """A cancelled job's late answer is not given to the next one."""
    async with _lane() as lane:
        first = asyncio.create_task(lane.run(("hang", 0.2)))
        await _until_flying(lane)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await lane.run(("echo", "mine")) == "mine"


async def test_a_hanging_job_whose_caller_gave_up_does_not_shift_the_answers() -> None:
    """The worker is lost also when nobody waits: no later caller gets the late answer, which is another call's."""
    async with _lane(reply_timeout_s=0.3) as lane:
        first = asyncio.create_task(lane.run(("hang", 60)))
        await _until_flying(lane)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await _until_ready(lane, 2)
        assert [await lane.run(("echo", n)) for n in range(3)] == [0, 1, 2]


async def test_a_worker_that_does_not_read_is_replaced() -> None:
    """A stopped process blocks a large job at the pipe; past the time it is killed all the same."""
    async with _lane(reply_timeout_s=0.3) as lane:
        worker = lane._worker
        assert worker is not None
        assert worker._process is not None
        worker._process.send_signal(signal.SIGSTOP)
        with pytest.raises(LaneDown):
            await lane.run(("echo", np.zeros(4_000_000, np.uint8)))
        await _until_ready(lane, 2)
        assert await lane.run(("echo", 1)) == 1


async def test_closing_does_not_wait_for_a_starting_engine() -> None:
    """An engine that takes its time is killed when the lane closes."""
    spec = LaneSpec(engine=SPEC.engine, pipeline=SPEC.pipeline, warm_up=(("hang", 30),))
    lane = Lane("test", spec)
    starting = asyncio.create_task(lane.start())
    async with asyncio.timeout(90):
        while lane._worker is None or lane._worker._process is None:  # noqa: ASYNC110 - a lane sets no event
            await asyncio.sleep(0.01)
        await lane.close()
        with pytest.raises(LaneDown):
            await starting


async def test_jobs_are_done_in_order_one_at_a_time() -> None:
    """Ten jobs at once come back counted 1 to 10."""
    async with _lane() as lane:
        assert await asyncio.gather(*(lane.run(("count",)) for _ in range(10))) == list(range(1, 11))


async def test_an_engine_that_cannot_start_says_so() -> None:
    """`start` raises with the error's name, and closing is clean."""
    lane = Lane("test", LaneSpec(engine="tests.lane_jobs:BrokenEngine", pipeline=SPEC.pipeline))
    with pytest.raises(LaneDown, match="FileNotFoundError"):
        await lane.start()
    await lane.close()


async def test_warm_up_jobs_are_done_before_ready() -> None:
    """Two warm-up jobs make the first job of a caller the third."""
    spec = LaneSpec(engine=SPEC.engine, pipeline=SPEC.pipeline, warm_up=(("echo", 1), ("echo", 2)))
    async with _lane(spec) as lane:
        assert await lane.run(("count",)) == 3


async def test_closing_ends_the_worker_and_refuses_jobs() -> None:
    """After `close`, twice, the process is gone."""
    async with _lane() as lane:
        worker = lane._worker
        await lane.close()
        with pytest.raises(LaneDown):
            await lane.run(("echo", 1))

    assert worker is not None
    assert worker._process is not None
    assert worker._process.returncode is not None

"""The inference lane: the one way from the event loop to an engine. One process, one thread there, one engine.

`run` hands a job over and waits for its answer; `frame_queue` decides whose turn it is. Frames of several calls travel
together where the engine is faster so. A worker that exits, or does not answer in time, is killed and started again;
meanwhile every job is refused at once with `LaneDown`, so that the gate covers the picture and silences the voice.
`epoch` grows with every start: state held in the worker (`seats`) is gone when it has.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from mirage_rtc.errors import BadInput
from mirage_rtc.frame_queue import FrameQueue
from mirage_rtc.lane_worker import Done, Failed, LaneSpec, Ready, Refused
from mirage_rtc.starvation import Deadline
from mirage_rtc.worker_process import Worker
from models.gpu_status import GpuMemory

logger = logging.getLogger(__name__)

LaneState = Literal["starting", "ready", "restarting", "failed", "closed"]

REPLY_TIMEOUT_S = 1.5
"""A worker that takes longer over one job hangs: a frame is worthless long before. What it waits for a CPU is not
counted (`starvation`)."""
SETTLE_TIMEOUT_S = 10.0
"""The same for a job that is not on the media path, such as preparing a portrait."""
BATCH_PATIENCE = 3
"""Frames that go together may take as long as so many that go alone: where a batch saves nothing it is no hang."""
RESTART_PAUSE_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Pause before the nth start in a row that failed; the last one repeats."""


class LaneDown(Exception):
    """The lane's worker is not there: starting, restarting or gone."""


class WorkerLost(LaneDown):
    """The lane's worker went while it did this very job."""


class EngineFailed(Exception):
    """The engine raised over this job. The lane is well."""


class Late(Exception):
    """A frame's time passed before the worker was free: it was dropped, and nothing was done for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The answer to a frame, how long it waited for the worker, and how many frames were done at once."""

    value: Any
    waited_ms: float
    batch: int


@dataclass(slots=True, kw_only=True, eq=False)
class _Asked:
    job: Any
    limit_s: float
    asked_s: float
    answer: "asyncio.Future[Served]"

    def fail(self, error: Exception) -> None:
        """Tell the caller, if he still waits."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def serve(self, answer: Any, *, sent_s: float, batch: int) -> None:
        """Hand the worker's answer over: a value, or what it stands for."""
        if self.answer.done():
            return
        if isinstance(answer, Done):
            waited_ms = (sent_s - self.asked_s) * 1000.0
            self.answer.set_result(Served(value=answer.value, waited_ms=waited_ms, batch=batch))
        elif isinstance(answer, Refused):
            self.answer.set_exception(BadInput(answer.code, answer.sentence))
        else:
            error = answer.error if isinstance(answer, Failed) else type(answer).__name__
            self.answer.set_exception(EngineFailed(error))


class Lane:
    """One worker at a time and the way to it. All methods belong to the event loop's thread."""

    def __init__(
        self,
        name: str,
        spec: LaneSpec,
        *,
        reply_timeout_s: float = REPLY_TIMEOUT_S,
        on_state: Callable[[LaneState], None] = lambda _: None,
        on_gpu: Callable[[GpuMemory], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.epoch = 0
        self.engine_name = ""
        self.engine_why = ""
        self.engine_extras: tuple[str, ...] = ()
        self.recognises = False
        self.state: LaneState = "starting"
        self._spec = spec
        self._reply_timeout_s = reply_timeout_s
        self._on_state = on_state
        self._on_gpu = on_gpu
        self._queue: FrameQueue[_Asked] = FrameQueue()
        self._flying: list[_Asked] = []
        self._look: asyncio.TimerHandle | None = None
        self._worker: Worker | None = None
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=f"lane-{name}")
        self._restart: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nobody's job is being done: the next one need not wait."""
        return not self._flying

    async def start(self) -> None:
        """Start the worker and wait until its engine is ready. Raises LaneDown when it cannot be."""
        await self._spawn()

    async def run(self, job: Any, *, settling: bool = False, call_id: str = "") -> Any:
        """Have one job done; a `settling` one may take longer than a frame. Those of one `call_id` keep their order.

        Raises LaneDown (WorkerLost: over this job), EngineFailed, or BadInput for a job whose input was refused.
        """
        limit_s = max(self._reply_timeout_s, SETTLE_TIMEOUT_S) if settling else self._reply_timeout_s
        served = await self._ask(job, limit_s=limit_s, call_id=call_id, patience_s=None)
        return served.value

    async def run_frame(self, job: Any, *, call_id: str, patience_s: float) -> Served:
        """The same for a frame, which is worthless when it has waited for `patience_s`. Raises Late, too."""
        return await self._ask(job, limit_s=self._reply_timeout_s, call_id=call_id, patience_s=patience_s)

    async def close(self) -> None:
        """End the worker. Idempotent."""
        self._enter("closed")
        self._refuse_all()
        if self._worker is not None:
            self._worker.kill()
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.gather(self._restart, return_exceptions=True)
        worker, self._worker = self._worker, None
        if worker is not None:
            await self._reap(worker)
        self._threads.shutdown(wait=False)

    async def _ask(self, job: Any, *, limit_s: float, call_id: str, patience_s: float | None) -> Served:
        if self.state != "ready":
            raise LaneDown
        loop = asyncio.get_running_loop()
        asked = _Asked(job=job, limit_s=limit_s, asked_s=loop.time(), answer=loop.create_future())
        idle = not self._flying
        self._queue.put(asked, call=call_id, now_s=asked.asked_s, patience_s=patience_s, idle=idle)
        self._serve()
        try:
            return await asked.answer
        except asyncio.CancelledError:
            self._queue.remove(asked)  # one that is with the worker already is done for nobody
            raise

    def _serve(self) -> None:
        """Drop what is late, give a free worker what is next, and look again when the next moment comes."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for late in self._queue.expire(now_s):
            late.fail(Late())
        if not self._flying and self._worker is not None and (taken := self._queue.take(now_s)):
            self._send(self._worker, taken)
        if self._look is not None:
            self._look.cancel()
        look_s = self._queue.next_s(now_s, idle=not self._flying)
        self._look = None if look_s is None else loop.call_at(look_s, self._serve)

    def _send(self, worker: Worker, taken: list[_Asked]) -> None:
        """Have the worker do what was taken; whoever asked is told when it has, also if nobody waits here."""
        self._flying, sent_s = taken, asyncio.get_running_loop().time()
        limit_s = max(asked.limit_s for asked in taken) * min(len(taken), BATCH_PATIENCE)

        def conclude(future: "asyncio.Future[list[Any] | None]") -> None:
            self._flying = []
            failed = future.cancelled() or future.exception() is not None
            answers = None if failed else future.result()
            if answers is None:
                for asked in taken:
                    asked.fail(WorkerLost())
                return self._lose(worker)
            for asked, answer in zip(taken, answers, strict=True):
                if isinstance(answer, Done) and answer.gpu is not None:
                    self._on_gpu(answer.gpu)
                asked.serve(answer, sent_s=sent_s, batch=len(taken))
            return self._serve()

        jobs = [asked.job for asked in taken]
        self._watched(worker, limit_s, worker.exchange, jobs).add_done_callback(conclude)

    def _watched(
        self, worker: Worker, limit_s: float, function: Callable[..., Any], *arguments: Any
    ) -> "asyncio.Future[Any]":
        """Run in the lane's thread; past the time the worker is killed, which ends whatever the thread waits for."""
        deadline = Deadline(limit_s, waits=worker.waits, on_over=worker.kill)
        future = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        future.add_done_callback(lambda _: deadline.cancel())
        return future

    async def _reap(self, worker: Worker) -> None:
        await _end_of(asyncio.get_running_loop().run_in_executor(self._threads, worker.reap))

    async def _spawn(self) -> None:
        """Start a worker. Raises LaneDown; no process is left then."""
        worker = self._worker = Worker()
        hello: Any = None
        try:
            hello = await _end_of(self._watched(worker, self._spec.start_timeout_s, worker.start, self._spec))
        except OSError:
            logger.exception("an inference worker could not be started", extra={"lane": self.name})
        if not isinstance(hello, Ready) or self.state == "closed":
            worker.kill()
            await self._reap(worker)
            raise LaneDown(getattr(hello, "error", "no answer"))
        self.epoch += 1
        self.engine_name, self.engine_why, self.engine_extras = hello.engine_name, hello.why, hello.extras
        self._queue.batch_max, self.recognises = hello.batch_max, hello.recognises
        logger.info(
            "inference lane ready",
            extra={"lane": self.name, "engine": hello.engine_name, "why": hello.why or "only one"},
        )
        self._enter("ready")

    def _lose(self, worker: Worker) -> None:
        """A worker that served is gone: kill what is left of it and start another."""
        if self._worker is not worker or self.state != "ready":
            return
        logger.warning("inference lane lost its worker", extra={"lane": self.name})
        worker.kill()
        self._refuse_all()
        self._enter("restarting")
        self._restart = asyncio.get_running_loop().create_task(self._run_restart(worker))

    async def _run_restart(self, lost: Worker) -> None:
        await self._reap(lost)
        for attempt in itertools.count():
            await asyncio.sleep(RESTART_PAUSE_S[min(attempt, len(RESTART_PAUSE_S) - 1)])
            with contextlib.suppress(LaneDown):
                return await self._spawn()
            self._enter("failed")

    def _refuse_all(self) -> None:
        """Nobody who waits is left to a worker that does not know his call."""
        for asked in self._queue.clear():
            asked.fail(LaneDown())
        if self._look is not None:
            self._look.cancel()

    def _enter(self, state: LaneState) -> None:
        if self.state in (state, "closed"):
            return
        self.state = state
        self._on_state(state)


async def _end_of(future: "asyncio.Future[Any]") -> Any:
    """What a thread's work gave; a caller that is cancelled waits for its end all the same."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise

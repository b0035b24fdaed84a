"""The inference lane: the one way from the event loop to an engine. One process, one job at a time, in order.

`run` hands a job over and waits for its answer. A worker that exits, or does not answer in time, is killed and started
again; meanwhile every job is refused at once with `LaneDown`, so that the gate covers the picture and silences the
voice. `epoch` grows with every start: state held in the worker (`seats`) is gone when it has. Jobs are numbered, and an
answer of another number costs the worker its place: no call may ever get another's picture.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Literal

from mirage_rtc.errors import BadInput
from mirage_rtc.lane_worker import Done, Failed, LaneSpec, Ready, Refused
from mirage_rtc.starvation import Deadline, Waits, run_queue_waits

logger = logging.getLogger(__name__)

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from mirage_rtc.lane_worker import main; main(int(sys.argv[1]))"
)
"""What a worker runs: a plain interpreter, so that it imports its engine and not the whole server."""

LaneState = Literal["starting", "ready", "restarting", "failed", "closed"]

REPLY_TIMEOUT_S = 1.5
"""A worker that takes longer over one job hangs: a frame is worthless long before. What it waits for a CPU is not
counted (`starvation`)."""
SETTLE_TIMEOUT_S = 10.0
"""The same for a job that is not on the media path, such as preparing a portrait."""
START_TIMEOUT_S = 60.0
RESTART_PAUSE_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Pause before the nth start in a row that failed; the last one repeats."""


class LaneDown(Exception):
    """The lane's worker is not there: starting, restarting or gone."""


class EngineFailed(Exception):
    """The engine raised over this job. The lane is well."""


class Worker:
    """One worker process and its pipe. `start` and `exchange` block: they run in the lane's thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._numbers = itertools.count()
        self._killed = False

    def start(self, spec: LaneSpec) -> Any:
        """Start the process; its first message, or None when it has none."""
        if self._killed:
            return None
        self._connection, theirs = Pipe()
        descriptor = theirs.fileno()
        command = [sys.executable, "-c", _BOOT, str(descriptor), json.dumps(sys.path)]
        try:
            self._process = subprocess.Popen(command, pass_fds=(descriptor,), stdin=subprocess.DEVNULL)
        finally:
            theirs.close()
        if self._killed:  # while it started
            self._process.kill()
        try:
            self._connection.send(spec)
            return self._connection.recv()
        except Exception:  # noqa: BLE001 - whatever a broken pipe or half a pickle raises, there is no worker
            return None

    def exchange(self, job: Any) -> Any:
        """One question, one answer; None when there is none. Blocks until then, or until `kill`."""
        assert self._connection is not None
        number = next(self._numbers)
        try:
            self._connection.send((number, job))
            answered, answer = self._connection.recv()
        except Exception:  # noqa: BLE001 - whatever a broken pipe or half a pickle raises, the worker is lost
            return None
        return answer if answered == number else None

    def waits(self) -> Waits:
        """How long its threads waited for a CPU since they began."""
        return {} if self._process is None else run_queue_waits(self._process.pid)

    def kill(self) -> None:
        """End the process; whoever waits for it wakes up. Does not block."""
        self._killed = True
        if self._process is not None:
            self._process.kill()

    def reap(self) -> None:
        """Wait for the killed process and close the pipe. Blocks."""
        if self._process is not None:
            self._process.wait()
        if self._connection is not None:
            self._connection.close()


class Lane:
    """One worker at a time and the way to it. All methods belong to the event loop's thread."""

    def __init__(
        self,
        name: str,
        spec: LaneSpec,
        *,
        reply_timeout_s: float = REPLY_TIMEOUT_S,
        on_state: Callable[[LaneState], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.epoch = 0
        self.engine_name = ""
        self.engine_why = ""
        self.state: LaneState = "starting"
        self._spec = spec
        self._reply_timeout_s = reply_timeout_s
        self._on_state = on_state
        self._turn = asyncio.Lock()
        self._worker: Worker | None = None
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=f"lane-{name}")
        self._restart: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the worker and wait until its engine is ready. Raises LaneDown when it cannot be."""
        async with self._turn:
            await self._spawn()

    async def run(self, job: Any, *, settling: bool = False) -> Any:
        """Have one job done; a `settling` one may take longer than a frame.

        Raises LaneDown, EngineFailed, or BadInput for a job whose input was refused.
        """
        timeout_s = max(self._reply_timeout_s, SETTLE_TIMEOUT_S) if settling else self._reply_timeout_s
        async with self._turn:
            worker = self._worker
            if self.state != "ready" or worker is None:
                raise LaneDown
            answer = await self._limited(worker, timeout_s, worker.exchange, job)
            if answer is None:
                raise LaneDown
        return self._open(answer)

    async def close(self) -> None:
        """End the worker. Idempotent."""
        self._enter("closed")
        if self._worker is not None:
            self._worker.kill()
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.gather(self._restart, return_exceptions=True)
        worker, self._worker = self._worker, None
        if worker is not None:
            await self._in_thread(worker.reap)
        self._threads.shutdown(wait=False)

    @staticmethod
    def _open(answer: Any) -> Any:
        if isinstance(answer, Done):
            return answer.value
        if isinstance(answer, Refused):
            raise BadInput(answer.code, answer.sentence)
        raise EngineFailed(answer.error if isinstance(answer, Failed) else type(answer).__name__)

    async def _limited(self, worker: Worker, timeout_s: float, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run in the lane's thread; past the time the worker is killed, which ends whatever the thread waits for.

        Without an answer the worker is lost, also for a caller that did not stay to see it.
        """
        deadline = Deadline(timeout_s, waits=worker.waits, on_over=worker.kill)

        def conclude(future: "asyncio.Future[Any]") -> None:
            deadline.cancel()
            if future.cancelled() or future.exception() is not None or future.result() is None:
                self._lose(worker)

        return await self._in_thread(function, *arguments, then=conclude)

    async def _in_thread(
        self, function: Callable[..., Any], *arguments: Any, then: Callable[["asyncio.Future[Any]"], None] | None = None
    ) -> Any:
        """Run in the lane's thread; a caller that is cancelled waits for the end all the same."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        if then is not None:
            future.add_done_callback(then)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    async def _spawn(self) -> None:
        """Start a worker. Raises LaneDown; no process is left then."""
        worker = self._worker = Worker()
        hello: Any = None
        try:
            hello = await self._limited(worker, START_TIMEOUT_S, worker.start, self._spec)
        except OSError:
            logger.exception("an inference worker could not be started", extra={"lane": self.name})
        if not isinstance(hello, Ready) or self.state == "closed":
            worker.kill()
            await self._in_thread(worker.reap)
            raise LaneDown(getattr(hello, "error", "no answer"))
        self.epoch += 1
        self.engine_name, self.engine_why = hello.engine_name, hello.why
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
        self._enter("restarting")
        self._restart = asyncio.get_running_loop().create_task(self._run_restart(worker))

    async def _run_restart(self, lost: Worker) -> None:
        await self._in_thread(lost.reap)
        for attempt in itertools.count():
            await asyncio.sleep(RESTART_PAUSE_S[min(attempt, len(RESTART_PAUSE_S) - 1)])
            with contextlib.suppress(LaneDown):
                return await self._spawn()
            self._enter("failed")

    def _enter(self, state: LaneState) -> None:
        if self.state in (state, "closed"):
            return
        self.state = state
        self._on_state(state)

"""The inference lane: the one way from the event loop to an engine. One process, one job at a time, in order.

`run` hands a job over and waits for its answer. A worker that exits, or does not answer in time, is killed and started
again; meanwhile every job is refused at once with `LaneDown`, so that the gate covers the picture and silences the
voice. `epoch` grows with every start: state held in the worker (`seats`) is gone when it has.
"""

import asyncio
import contextlib
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

logger = logging.getLogger(__name__)

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from mirage_rtc.lane_worker import main; main(int(sys.argv[1]))"
)
"""What a worker runs: a plain interpreter, so that it imports its engine and not the whole server."""

LaneState = Literal["starting", "ready", "restarting", "failed", "closed"]

REPLY_TIMEOUT_S = 1.5
"""A worker that takes longer over one job hangs: a frame is worthless long before."""
SETTLE_TIMEOUT_S = 10.0
"""The same for a job that is not on the media path, such as preparing a portrait."""
START_TIMEOUT_S = 60.0
RESTART_PAUSE_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Pause before the nth start in a row that failed; the last one repeats."""


class LaneDown(Exception):
    """The lane's worker is not there: starting, restarting or gone."""


class EngineFailed(Exception):
    """The engine raised over this job. The lane is well."""


class Lane:
    """One worker process and the way to it. All methods belong to the event loop's thread."""

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
        self.state: LaneState = "starting"
        self._spec = spec
        self._reply_timeout_s = reply_timeout_s
        self._on_state = on_state
        self._turn = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
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
            connection = self._connection
            if self.state != "ready" or connection is None:
                raise LaneDown
            answer = await self._in_thread(self._exchange, connection, job, timeout_s)
            if answer is None:
                if self._connection is connection:  # else it was lost, and is being replaced, already
                    self._lose_worker()
                raise LaneDown
        return self._open(answer)

    async def close(self) -> None:
        """End the worker. Idempotent."""
        self._enter("closed")
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.gather(self._restart, return_exceptions=True)
        self._kill()
        self._threads.shutdown(wait=False)

    @staticmethod
    def _open(answer: Any) -> Any:
        if isinstance(answer, Done):
            return answer.value
        if isinstance(answer, Refused):
            raise BadInput(answer.code, answer.sentence)
        raise EngineFailed(answer.error if isinstance(answer, Failed) else type(answer).__name__)

    @staticmethod
    def _exchange(connection: Connection, job: Any, timeout_s: float) -> Any:
        """One question, one answer; None when the worker is gone or hangs. Runs in the lane's thread."""
        with contextlib.suppress(OSError, EOFError, ValueError):
            connection.send(job)
            if connection.poll(timeout_s):
                return connection.recv()
        return None

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run in the lane's thread; a caller that is cancelled must not leave half an exchange behind."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    async def _spawn(self) -> None:
        ours, theirs = Pipe()
        hello = await self._in_thread(self._launch, ours, theirs)
        if not isinstance(hello, Ready) or self.state == "closed":
            self._kill()
            raise LaneDown(getattr(hello, "error", "no answer"))
        self.epoch += 1
        self.engine_name = hello.engine_name
        self._enter("ready")

    def _launch(self, ours: Connection, theirs: Connection) -> Any:
        """Start a worker and wait for its first message; None when it exits or hangs. Runs in the lane's thread."""
        descriptor = theirs.fileno()
        command = [sys.executable, "-c", _BOOT, str(descriptor), json.dumps(sys.path)]
        self._connection = ours
        self._process = subprocess.Popen(command, pass_fds=(descriptor,), stdin=subprocess.DEVNULL)
        theirs.close()
        with contextlib.suppress(OSError, EOFError):
            ours.send(self._spec)
            if ours.poll(START_TIMEOUT_S):
                return ours.recv()
        return None

    def _lose_worker(self) -> None:
        logger.warning("inference lane lost its worker", extra={"lane": self.name})
        self._kill()
        if self.state == "closed":
            return
        self._enter("restarting")
        self._restart = asyncio.get_running_loop().create_task(self._run_restart())

    async def _run_restart(self) -> None:
        attempt = 0
        while self.state != "closed":
            await asyncio.sleep(RESTART_PAUSE_S[min(attempt, len(RESTART_PAUSE_S) - 1)])
            attempt += 1
            with contextlib.suppress(LaneDown):
                return await self._spawn()
            self._enter("failed")

    def _kill(self) -> None:
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if process is not None:
            process.kill()
            process.wait()

    def _enter(self, state: LaneState) -> None:
        if self.state in (state, "closed"):
            return
        self.state = state
        self._on_state(state)

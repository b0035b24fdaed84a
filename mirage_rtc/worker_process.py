"""The server's hold on a lane's worker: starts the process, asks it, ends it. Used by `inference` from one thread.

Jobs are numbered, and their answers must bear the same numbers in the same order: a worker whose answers do not is
lost, since no call may ever get another's picture.
"""

import itertools
import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from mirage_rtc.lane_wire import Wire
from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.starvation import Waits, run_queue_waits

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from mirage_rtc.lane_worker import main; main(int(sys.argv[1]))"
)
"""What a worker runs: a plain interpreter, so that it imports its engine and not the whole server."""


class Worker:
    """One worker process and the way to it. `start` and `exchange` block: they run in the lane's thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._wire: Wire | None = None
        self._numbers = itertools.count()
        self._killed = False

    def start(self, spec: LaneSpec) -> Any:
        """Start the process; its first message, or None when it has none."""
        if self._killed:
            return None
        ours, theirs = socket.socketpair()
        self._wire = Wire(ours)
        command = [sys.executable, "-c", _BOOT, str(theirs.fileno()), json.dumps(sys.path)]
        try:
            self._process = subprocess.Popen(command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL)
        finally:
            theirs.close()
        if self._killed:  # while it started
            self._process.kill()
        try:
            self._wire.send(spec)
            return self._wire.receive()
        except Exception:  # noqa: BLE001 - whatever a broken way or half a pickle raises, there is no worker
            return None

    def exchange(self, jobs: Sequence[Any]) -> list[Any] | None:
        """An answer for each job, in their order; None when there are none. Blocks until then, or until `kill`."""
        assert self._wire is not None
        asked = [(next(self._numbers), job) for job in jobs]
        try:
            self._wire.send(asked)
            answered = self._wire.receive()
        except Exception:  # noqa: BLE001 - whatever a broken way or half a pickle raises, the worker is lost
            return None
        if [number for number, _ in asked] != [number for number, _ in answered]:
            return None
        return [answer for _, answer in answered]

    def waits(self) -> Waits:
        """How long its threads waited for a CPU since they began."""
        return {} if self._process is None else run_queue_waits(self._process.pid)

    def kill(self) -> None:
        """End the process; whoever waits for it wakes up. Does not block."""
        self._killed = True
        if self._process is not None:
            self._process.kill()

    def reap(self) -> None:
        """Wait for the killed process and close the way. Blocks."""
        if self._process is not None:
            self._process.wait()
        if self._wire is not None:
            self._wire.close()

"""A lane's other side for tests: an engine that only has a name, and pipelines that do what a job says."""

import os
import socket
import time
from collections.abc import Sequence
from typing import Any

from mirage_rtc.lane_wire import Wire
from mirage_rtc.lane_worker import Done, Ready
from models.engines import PortraitError


class NamedEngine:
    """An engine of which only the name is used, and `why` it was chosen."""

    def __init__(self, name: str = "named", why: str = "") -> None:
        self.name, self.why = name, why


class BrokenEngine:
    """An engine that cannot be loaded."""

    def __init__(self) -> None:
        raise FileNotFoundError("a model")


class ObeyingPipeline:
    """Jobs are tuples: ("echo", value), ("raise",), ("refuse",), ("exit",), ("hang", seconds), ("count",)."""

    def __init__(self, engine: NamedEngine) -> None:
        self._engine = engine
        self._done = 0

    def handle(self, job: Any) -> Any:
        """Do what the job says."""
        self._done += 1
        match job:
            case ("echo", value):
                return value
            case ("count",):
                return self._done
            case ("refuse",):
                raise PortraitError("portrait_no_face", "Choose a picture with a face.")
            case ("hang", seconds):
                time.sleep(seconds)
            case ("exit",):
                os._exit(3)
            case _:
                raise RuntimeError("text with personal data")
        return None


class BatchingPipeline:
    """The same, up to eight jobs at once; besides ("together",): how many there are; ("burst",): the whole batch fails;
    ("forget",): one answer is missing; ("give up",): the process ends itself as an engine that has lost its GPU does.
    """

    batch_max = 8

    def __init__(self, engine: NamedEngine) -> None:
        self._alone = ObeyingPipeline(engine)

    def handle(self, job: Any) -> Any:
        """Do what the job says."""
        return 1 if job == ("together",) else self._alone.handle(job)

    def handle_batch(self, jobs: Sequence[Any]) -> list[Any]:
        """Do what each job says."""
        if ("burst",) in jobs:
            raise MemoryError
        if ("give up",) in jobs:
            raise SystemExit(1)
        answers = [len(jobs) if job == ("together",) else self._answer(job) for job in jobs]
        return answers[1:] if ("forget",) in jobs else answers

    def _answer(self, job: Any) -> Any:
        try:
            return None if job == ("forget",) else self.handle(job)
        except Exception as error:  # noqa: BLE001 - it stands for the answer
            return error


def answer_in_disorder(descriptor: int) -> None:
    """A worker that answers each batch in the reverse order, with the numbers as they should be or not."""
    wire = Wire(socket.socket(fileno=descriptor))
    wire.receive()
    wire.send(Ready(engine_name="disordered", batch_max=8))
    while True:
        asked = wire.receive()
        wire.send([(number, Done(value=job)) for number, job in reversed(asked)])

"""The other side of an inference lane: one process, one thread, one engine. Started by `inference.Lane`.

It answers numbered jobs over a socket, one at a time or several calls' frames at once, and ends when the socket does,
so that it never outlives the server. It is a process, not a thread, because numpy and WORLD hold the GIL for longer
than a packet may wait on the event loop, and because a hung process can be killed.
"""

import importlib
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from mirage_rtc.lane_wire import Wire
from models.engines import PortraitError, RecognisingFaceEngine
from models.gpu_status import GpuMemory, MemoryWatch


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSpec:
    """What a lane runs. `engine` and `pipeline` are "module:callable"; the pipeline is called with the engine.

    The jobs of `warm_up` are done before the worker says it is ready, which may take `start_timeout_s`. `study_engine`
    is opened instead for jobs off the media path, with the same arguments and `in_force`, the name of the engine there.
    """

    engine: str
    pipeline: str
    arguments: dict[str, Any] = field(default_factory=dict)
    warm_up: tuple[Any, ...] = ()
    nice: int = 0
    start_timeout_s: float = 60.0
    study_engine: str = ""

    def for_study(self, *, in_force: str, nice: int) -> "LaneSpec":
        """What answers one job off the media path as the engine in force would."""
        plain = replace(self, warm_up=(), nice=nice)
        if not self.study_engine:
            return plain
        return replace(plain, engine=self.study_engine, arguments=self.arguments | {"in_force": in_force})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The first message of a worker: its engine is loaded and warm; `why` it and no other, where there was a choice.

    `extras` are the engines that it can bring in besides, when a call asks for them; up to `batch_max` frames may be
    sent at once. An engine that `recognises` tells people apart.
    """

    engine_name: str
    why: str = ""
    extras: tuple[str, ...] = ()
    batch_max: int = 1
    recognises: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A job's answer; now and then with how the GPU's memory is used."""

    value: Any
    gpu: GpuMemory | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The job's input cannot be used; the engine is well."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The engine raised. `error` is the exception's type name: its text may hold personal data."""

    error: str


class Pipeline(Protocol):
    """What a lane hands its jobs to."""

    def handle(self, job: Any) -> Any:
        """Do one job."""


@runtime_checkable
class BatchPipeline(Protocol):
    """A pipeline that may do better with several jobs at once; `batch_max` says with how many, 1 with none."""

    batch_max: int

    def handle_batch(self, jobs: Sequence[Any]) -> list[Any]:
        """Do jobs of different calls: an answer for each, or the exception that `handle` would have raised."""


def _resolve(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def _answers(pipeline: Pipeline, jobs: Sequence[Any]) -> list[Done | Refused | Failed]:
    if len(jobs) == 1 or not isinstance(pipeline, BatchPipeline):
        return [_told(_handled(pipeline, job)) for job in jobs]
    try:
        answers = pipeline.handle_batch(jobs)
    except Exception as error:  # noqa: BLE001 - an engine may raise anything, and the calls must go on
        answers = [error] * len(jobs)
    if len(answers) != len(jobs):
        answers = [ValueError()] * len(jobs)  # whose they are cannot be told
    return [_told(answer) for answer in answers]


def _handled(pipeline: Pipeline, job: Any) -> Any:
    try:
        return pipeline.handle(job)
    except Exception as error:  # noqa: BLE001 - an engine may raise anything, and the call must go on
        return error


def _told(answer: Any) -> Done | Refused | Failed:
    if isinstance(answer, PortraitError):
        return Refused(code=answer.code, sentence=answer.sentence)
    if isinstance(answer, Exception):
        return Failed(error=type(answer).__name__)
    return Done(value=answer)


def _reported(answers: list[Done | Refused | Failed], watch: MemoryWatch) -> list[Done | Refused | Failed]:
    """The first answer carries the GPU's figures when they are due."""
    first = answers[0]
    gpu = watch.due() if isinstance(first, Done) else None
    if gpu is None or not isinstance(first, Done):
        return answers
    return [replace(first, gpu=gpu), *answers[1:]]


def _serve(wire: Wire, pipeline: Pipeline) -> None:
    watch = MemoryWatch()
    while True:
        try:
            asked = wire.receive()
        except (EOFError, OSError):
            return
        answers = _reported(_answers(pipeline, [job for _, job in asked]), watch)
        wire.send([(number, answer) for (number, _), answer in zip(asked, answers, strict=True)])


def main(descriptor: int) -> None:
    """Load the engine that the first message names, say so, answer jobs until the socket closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's; it closes the socket
    wire = Wire(socket.socket(fileno=descriptor))
    spec: LaneSpec = wire.receive()
    if spec.nice and hasattr(os, "nice"):
        os.nice(spec.nice)
    try:
        ready, pipeline = _start(spec)
    except Exception as error:  # noqa: BLE001 - told to the server, which says what to do
        return wire.send(Failed(error=type(error).__name__))
    wire.send(ready)
    return _serve(wire, pipeline)


def _start(spec: LaneSpec) -> tuple[Ready, Pipeline]:
    engine = _resolve(spec.engine)(**spec.arguments)
    pipeline: Pipeline = _resolve(spec.pipeline)(engine)
    for job in spec.warm_up:
        pipeline.handle(job)
    extras = getattr(engine, "extras", ())
    batch_max = pipeline.batch_max if isinstance(pipeline, BatchPipeline) else 1
    ready = Ready(
        engine_name=engine.name,
        why=getattr(engine, "why", ""),
        extras=extras,
        batch_max=batch_max,
        recognises=isinstance(engine, RecognisingFaceEngine),
    )
    return ready, pipeline

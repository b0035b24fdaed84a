"""The other side of an inference lane: one process, one thread, one engine. Started by `inference.Lane`.

It answers one numbered job at a time over a pipe and ends when the pipe does, so that it never outlives the server. It
is a process, not a thread, because numpy and WORLD hold the GIL for longer than a packet may wait on the event loop,
and because a hung process can be killed.
"""

import importlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Protocol

from models.engines import PortraitError


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSpec:
    """What a lane runs. `engine` and `pipeline` are "module:callable"; the pipeline is called with the engine.

    The jobs of `warm_up` are done before the worker says it is ready.
    """

    engine: str
    pipeline: str
    arguments: dict[str, Any] = field(default_factory=dict)
    warm_up: tuple[Any, ...] = ()
    nice: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The first message of a worker: its engine is loaded and warm; `why` it and no other, where there was a choice."""

    engine_name: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A job's answer."""

    value: Any


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


def _resolve(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def _answer(pipeline: Pipeline, job: Any) -> Done | Refused | Failed:
    try:
        return Done(value=pipeline.handle(job))
    except PortraitError as refused:
        return Refused(code=refused.code, sentence=refused.sentence)
    except Exception as error:  # noqa: BLE001 - an engine may raise anything, and the call must go on
        return Failed(error=type(error).__name__)


def _serve(connection: Connection, pipeline: Pipeline) -> None:
    while True:
        try:
            number, job = connection.recv()
        except (EOFError, OSError):
            return
        connection.send((number, _answer(pipeline, job)))


def main(descriptor: int) -> None:
    """Load the engine that the first message names, say so, answer jobs until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's; it closes the pipe
    connection = Connection(descriptor)
    spec: LaneSpec = connection.recv()
    if spec.nice and hasattr(os, "nice"):
        os.nice(spec.nice)
    try:
        ready, pipeline = _start(spec)
    except Exception as error:  # noqa: BLE001 - told to the server, which says what to do
        return connection.send(Failed(error=type(error).__name__))
    connection.send(ready)
    return _serve(connection, pipeline)


def _start(spec: LaneSpec) -> tuple[Ready, Pipeline]:
    engine = _resolve(spec.engine)(**spec.arguments)
    pipeline: Pipeline = _resolve(spec.pipeline)(engine)
    for job in spec.warm_up:
        pipeline.handle(job)
    return Ready(engine_name=engine.name, why=getattr(engine, "why", "")), pipeline

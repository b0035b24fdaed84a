"""One worker process, from the server's side. What a lane makes of it is tested in `test_inference`."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mirage_rtc.lane_worker import Done, Failed, LaneSpec, Ready
from mirage_rtc.worker_process import Worker

SPEC = LaneSpec(engine="tests.lane_jobs:NamedEngine", pipeline="tests.lane_jobs:BatchingPipeline")


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A started one."""
    one = Worker()
    assert one.start(SPEC) == Ready(engine_name="named", batch_max=8)
    yield one
    one.kill()
    one.reap()


def test_jobs_are_answered_in_their_order(worker: Worker) -> None:
    """Each by its own answer, failures too; its threads' waits for a CPU are known."""
    assert worker.exchange([("echo", 1), ("raise",), ("echo", 3)]) == [
        Done(value=1),
        Failed(error="RuntimeError"),
        Done(value=3),
    ]
    assert worker.exchange([("echo", 4)]) == [Done(value=4)]
    assert worker.waits()


def test_a_worker_that_is_gone_gives_no_answer(worker: Worker) -> None:
    """Whether it ends itself or is killed while somebody waits for it."""
    killed = threading.Timer(0.1, worker.kill)
    killed.start()
    assert worker.exchange([("hang", 20)]) is None
    killed.join()
    assert worker.exchange([("echo", 1)]) is None


def test_one_that_was_killed_before_it_began_does_not_start() -> None:
    """A lane that closes meanwhile leaves no process."""
    one = Worker()
    one.kill()
    assert one.start(SPEC) is None
    assert one.waits() == {}
    one.reap()


@pytest.mark.parametrize(
    "twist",
    [
        lambda pairs: pairs[::-1],
        lambda pairs: [(number + 1, answer) for number, answer in pairs],
        lambda pairs: pairs[:1],
        lambda pairs: [*pairs, pairs[0]],
    ],
    ids=["reversed", "of others", "too few", "too many"],
)
def test_answers_that_are_not_those_asked_for_are_no_answers(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, twist: Callable[[Any], Any]
) -> None:
    """In another order, of other numbers, or of another count: none of them is given to anybody."""
    wire = worker._wire
    assert wire is not None
    receive = wire.receive
    monkeypatch.setattr(wire, "receive", lambda: twist(receive()))
    assert worker.exchange([("echo", "mine"), ("echo", "yours")]) is None

"""A lane's worker, spoken to over its socket as `worker_process` does."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

from mirage_rtc.lane_wire import Wire
from mirage_rtc.lane_worker import Done, Failed, LaneSpec, Ready, Refused

SPEC = LaneSpec(engine="tests.lane_jobs:NamedEngine", pipeline="tests.lane_jobs:ObeyingPipeline")
BATCHES = LaneSpec(engine="tests.lane_jobs:NamedEngine", pipeline="tests.lane_jobs:BatchingPipeline")
BOOT = "import sys; sys.path.insert(0, '.'); from mirage_rtc.lane_worker import main; main(int(sys.argv[1]))"


@contextlib.contextmanager
def _worker() -> Iterator[tuple[Wire, "subprocess.Popen[bytes]"]]:
    ours, theirs = socket.socketpair()
    descriptor = theirs.fileno()
    with subprocess.Popen([sys.executable, "-c", BOOT, str(descriptor)], pass_fds=(descriptor,)) as process:
        theirs.close()
        wire = Wire(ours)
        yield wire, process
        wire.close()
        assert process.wait(120) == 0


def test_a_worker_answers_every_job_and_ends_with_the_socket() -> None:
    """Ready, then one answer a job, whatever the job does; a closed socket is a clean exit."""
    answers = []
    with _worker() as (wire, _):
        wire.send(SPEC)
        assert wire.receive() == Ready(engine_name="named")
        for number, job in enumerate((("echo", 5), ("raise",), ("refuse",))):
            wire.send([(number, job)])
            ((answered, answer),) = wire.receive()
            assert answered == number
            answers.append(answer)

    assert answers[0] == Done(value=5)
    assert answers[1] == Failed(error="RuntimeError")
    assert isinstance(answers[2], Refused)


def test_a_batch_is_done_at_once_and_one_job_s_fault_costs_nobody_else_his() -> None:
    """Each has the answer of its own number; a pipeline without batches does them one after the other."""
    jobs = [(7, ("echo", "a")), (8, ("raise",)), (9, ("refuse",)), (10, ("together",))]
    told = {}
    for spec in (BATCHES, SPEC):
        with _worker() as (wire, _):
            wire.send(spec)
            ready = wire.receive()
            wire.send(jobs)
            told[ready.batch_max] = wire.receive()
    for answers in told.values():
        assert [number for number, _ in answers] == [7, 8, 9, 10]
        assert [answer for _, answer in answers[:2]] == [Done(value="a"), Failed(error="RuntimeError")]
        assert isinstance(answers[2][1], Refused)
    assert told[8][3][1] == Done(value=4)
    assert told[1][3][1] == Failed(error="RuntimeError")


def test_a_batch_that_is_not_answered_job_by_job_is_nobody_s() -> None:
    """A pipeline that raises over all of it, or gives an answer too few, fails every job; the worker goes on."""
    with _worker() as (wire, _):
        wire.send(BATCHES)
        wire.receive()
        for fault, name in ((("burst",), "MemoryError"), (("forget",), "ValueError")):
            wire.send([(1, ("echo", 1)), (2, fault)])
            assert wire.receive() == [(1, Failed(error=name)), (2, Failed(error=name))]
        wire.send([(3, ("echo", 3))])
        assert wire.receive() == [(3, Done(value=3))]


def test_an_engine_that_cannot_be_loaded_is_named() -> None:
    """The first message is the failure, and the worker ends."""
    with _worker() as (wire, process):
        wire.send(LaneSpec(engine="tests.lane_jobs:BrokenEngine", pipeline=SPEC.pipeline))
        assert wire.receive() == Failed(error="FileNotFoundError")
        assert process.wait(120) == 0

"""A lane's worker, spoken to over its pipe as `inference` does."""

import subprocess
import sys
from multiprocessing import Pipe

from mirage_rtc.lane_worker import Done, Failed, LaneSpec, Ready, Refused

SPEC = LaneSpec(engine="tests.lane_jobs:NamedEngine", pipeline="tests.lane_jobs:ObeyingPipeline")
BOOT = "import sys; sys.path.insert(0, '.'); from mirage_rtc.lane_worker import main; main(int(sys.argv[1]))"


def test_a_worker_answers_every_job_and_ends_with_the_pipe() -> None:
    """Ready, then one answer a job, whatever the job does; a closed pipe is a clean exit."""
    ours, theirs = Pipe()
    with subprocess.Popen([sys.executable, "-c", BOOT, str(theirs.fileno())], pass_fds=(theirs.fileno(),)) as worker:
        theirs.close()
        ours.send(SPEC)
        assert ours.recv() == Ready(engine_name="named")
        answers = []
        for number, job in enumerate((("echo", 5), ("raise",), ("refuse",))):
            ours.send((number, job))
            answered, answer = ours.recv()
            assert answered == number
            answers.append(answer)
        ours.close()
        assert worker.wait(20) == 0

    assert answers[0] == Done(value=5)
    assert answers[1] == Failed(error="RuntimeError")
    assert isinstance(answers[2], Refused)


def test_an_engine_that_cannot_be_loaded_is_named() -> None:
    """The first message is the failure, and the worker ends."""
    ours, theirs = Pipe()
    with subprocess.Popen([sys.executable, "-c", BOOT, str(theirs.fileno())], pass_fds=(theirs.fileno(),)) as worker:
        theirs.close()
        ours.send(LaneSpec(engine="tests.lane_jobs:BrokenEngine", pipeline=SPEC.pipeline))
        assert ours.recv() == Failed(error="FileNotFoundError")
        assert worker.wait(20) == 0
    ours.close()

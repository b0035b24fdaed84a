"""An enhancer behind its thread: late, hanging, failing again and again, it costs nobody their picture."""

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from models.enhancer_graph import CODEFORMER_KIND
from models.enhancer_guard import FAILURES_TO_STOP, HANG_S, GuardedEnhancer
from models.runtime import NetworkError
from tests.enhancer_parts import FaultyEnhancer, guarded
from tests.test_enhancer_view import soft

CROP = soft(512, 1)


class Hands:
    """A clock that is set."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def hanging(clock: Callable[[], float], late_s: float = 0.02) -> tuple[FaultyEnhancer, GuardedEnhancer]:
    """One whose first run does not end by itself."""
    enhancer = FaultyEnhancer("hangs", 1, 1)
    return enhancer, GuardedEnhancer(CODEFORMER_KIND, lambda: enhancer, clock=clock, late_s=late_s)


def test_answers_come_from_one_thread_that_is_not_the_caller_s() -> None:
    """The one that opened it, too: a session belongs to its thread."""
    made: list[int] = []
    enhancer = FaultyEnhancer(first=10**6)

    def make() -> FaultyEnhancer:
        made.append(threading.get_ident())
        return enhancer

    one = GuardedEnhancer(CODEFORMER_KIND, make, clock=time.monotonic, late_s=60)
    answers = [one.enhance([CROP, CROP], [0.5, 1.0]) for _ in range(2)]
    assert [len(answer) for answer in answers] == [2, 2]
    assert enhancer.threads == set(made) != {threading.get_ident()}


def test_one_that_cannot_be_opened_is_off_with_its_reason() -> None:
    """Whatever it raised."""

    def make() -> FaultyEnhancer:
        raise NetworkError("codeformer.onnx is another network")

    one = GuardedEnhancer(CODEFORMER_KIND, make, clock=time.monotonic)
    assert "is another network" in one.off
    with pytest.raises(NetworkError, match="cannot be opened"):
        one.enhance([CROP], [0.5])


def test_frames_are_not_held_up_by_one_that_takes_long_to_open() -> None:
    """TensorRT builds for minutes; from when it is open it is asked."""
    free = threading.Event()

    def make() -> FaultyEnhancer:
        free.wait(120)
        return FaultyEnhancer(first=10**6)

    one = GuardedEnhancer(CODEFORMER_KIND, make, clock=time.monotonic, late_s=60, open_s=0.01)
    assert (one.ready, one.off) == (False, "")
    with pytest.raises(NetworkError, match="opened still"):
        one.enhance([CROP], [0.5])
    free.set()
    assert one._open.wait(120)
    assert one.ready
    assert len(one.enhance([CROP], [0.5])) == 1


@pytest.mark.parametrize("fault", ["raises", "few"])
def test_failures_in_a_row_switch_it_off(fault: str) -> None:
    """With a reason, and then it is not asked any more; one success in between starts the count again."""
    enhancer = FaultyEnhancer(fault)
    one = guarded(enhancer)
    for run in range(FAILURES_TO_STOP + 2):
        enhancer.first = 1 if run != 2 else 10**6
        if run == 2:
            one.enhance([CROP], [0.5])
            one.judged(sound=True)
            continue
        with pytest.raises(NetworkError):
            one.enhance([CROP], [0.5])
    assert one.off == ""
    for _ in range(FAILURES_TO_STOP):
        with pytest.raises(NetworkError):
            one.enhance([CROP], [0.5])
    assert "again and again" in one.off
    runs = enhancer.runs
    with pytest.raises(NetworkError, match="off until"):
        one.enhance([CROP], [0.5])
    assert enhancer.runs == runs


def test_answers_that_are_not_believed_count_as_failures() -> None:
    """Its own success does not make up for them."""
    one = guarded(FaultyEnhancer(first=10**6))
    for _ in range(FAILURES_TO_STOP):
        one.enhance([CROP], [0.5])
        one.judged(sound=False)
    assert "other faces" in one.off


def test_one_that_is_late_is_left_alone_until_it_is_back() -> None:
    """Nobody waits for the old answer, and it is nobody's."""
    enhancer, one = hanging(Hands())
    with pytest.raises(NetworkError, match="late"):
        one.enhance([CROP], [0.5])
    with pytest.raises(NetworkError, match="older frame"):
        one.enhance([CROP], [0.5])
    assert enhancer.runs == 1
    enhancer.free.set()
    one._late_s = 60.0
    for _ in range(1200):
        if one._late is not None and not one._late.done.wait(0.05):
            continue
        break
    (answer,) = one.enhance([soft(512, 2)], [0.5])
    assert answer is not None
    assert np.abs(answer.astype(int) - soft(512, 2)).mean() < 3 < np.abs(answer.astype(int) - CROP).mean()


def test_one_that_hangs_is_given_up() -> None:
    """Nothing waits for it at the end of the process either."""
    clock = Hands()
    enhancer, one = hanging(clock)
    with pytest.raises(NetworkError, match="late"):
        one.enhance([CROP], [0.5])
    clock.now_s = HANG_S + 1
    with pytest.raises(NetworkError, match="hangs"):
        one.enhance([CROP], [0.5])
    assert "hangs" in one.off
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("enhancer-"))
    enhancer.free.set()

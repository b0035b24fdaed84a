"""The order of a lane's jobs, in virtual time: due first, fair, together where that helps, and never late."""

from dataclasses import dataclass, field

import pytest

from mirage_rtc.frame_queue import BURST, FORGET_S, LIVE_S, RATE_HZ, SETTLE_S, WINDOW_S, FrameQueue

Queue = FrameQueue[str]


def put(queue: Queue, item: str, at_s: float, *, patience_s: float | None = 0.066, idle: bool = False) -> None:
    """A job of the call that its first letter names."""
    queue.put(item, call=item[0], now_s=at_s, patience_s=patience_s, idle=idle)


def test_the_job_that_is_due_first_goes_first() -> None:
    """Whatever came first; one at a time without batches."""
    queue = Queue()
    put(queue, "a1", 0.000, patience_s=0.100)
    put(queue, "b1", 0.001, patience_s=0.050)
    put(queue, "c1", 0.002, patience_s=0.070)
    assert [queue.take(0.01) for _ in range(4)] == [["b1"], ["c1"], ["a1"], []]


def test_jobs_of_one_call_keep_their_order() -> None:
    """A frame after a change of identity wears the new one, however soon it is due; frames do not overtake."""
    queue = Queue(8)
    put(queue, "a1", 0.000)
    put(queue, "a-wear", 0.001, patience_s=None)
    put(queue, "a2", 0.002, patience_s=0.001)
    put(queue, "a3", 0.003, patience_s=0.001)
    assert [queue.take(0.003) for _ in range(5)] == [["a1"], ["a-wear"], ["a2"], ["a3"], []]


def test_what_is_no_frame_goes_alone_is_never_dropped_and_waits_for_no_stream_of_frames() -> None:
    """It is due 100 ms after it came, and precedes whatever is due later."""
    queue = Queue(8)
    put(queue, "s-open", 0.0, patience_s=None)
    put(queue, "a1", 0.0)
    put(queue, "b1", 0.001)
    assert queue.take(0.01) == ["a1", "b1"]
    put(queue, "a2", SETTLE_S, patience_s=0.05)
    assert queue.expire(SETTLE_S + 0.01) == []
    assert queue.take(SETTLE_S + 0.01) == ["s-open"]
    assert queue.take(SETTLE_S + 0.01) == ["a2"]


def test_frames_of_different_calls_go_together_one_of_each_and_no_more_than_is_allowed() -> None:
    """While the worker was busy they gathered by themselves: no window."""
    queue = Queue(3)
    for item in ("a1", "a2", "b1", "c1", "d1"):
        put(queue, item, 0.0)
    assert queue.take(0.001) == ["a1", "b1", "c1"]
    assert sorted(queue.take(0.002)) == ["a2", "d1"]


def test_an_idle_worker_waits_three_milliseconds_for_company() -> None:
    """Then the frame goes alone; it goes at once when everybody who sends is there, or nobody else sends."""
    queue = Queue(8)
    put(queue, "a1", 0.0, idle=True)
    assert queue.take(0.0) == ["a1"]  # the only call
    put(queue, "b1", 0.010, idle=True)
    assert queue.take(0.010) == []
    assert queue.next_s(0.010, idle=True) == pytest.approx(0.010 + WINDOW_S)
    assert queue.take(0.010 + WINDOW_S) == ["b1"]
    put(queue, "a2", 0.020, idle=True)
    assert queue.take(0.020) == []
    put(queue, "b2", 0.0215, idle=True)
    assert queue.take(0.0215) == ["a2", "b2"]
    put(queue, "a3", 0.030 + LIVE_S, idle=True)  # b has stopped sending
    assert queue.take(0.030 + LIVE_S) == ["a3"]


def test_nobody_looks_before_the_window_ends_for_what_waits_behind_those_who_gather() -> None:
    """What is no frame waits for no company: its time lies in the past, and looking at once would not end."""
    queue = Queue(8)
    put(queue, "b1", 0.0, idle=True)
    assert queue.take(WINDOW_S) == ["b1"]
    put(queue, "a1", 0.010, idle=True)
    put(queue, "s-wear", 0.0101, patience_s=None, idle=True)
    assert queue.take(0.011) == []
    assert queue.next_s(0.011, idle=True) == pytest.approx(0.010 + WINDOW_S)
    assert queue.take(0.010 + WINDOW_S) == ["a1"]


def test_without_batches_nobody_waits_for_company() -> None:
    """The embedded engine and the voices are asked at once, as ever."""
    queue = Queue(1)
    for number, item in enumerate(("a1", "b1", "a2", "b2")):
        put(queue, item, number * 0.01, idle=True)
        assert queue.take(number * 0.01) == [item]


def test_a_frame_whose_time_passes_while_the_worker_is_busy_is_dropped() -> None:
    """Not one that found the worker idle and was first in line; and no other job of its call."""
    queue = Queue(1)
    put(queue, "a1", 0.0, patience_s=0.030)
    put(queue, "a-wear", 0.0, patience_s=None)
    put(queue, "b1", 0.0, patience_s=0.060)
    assert queue.next_s(0.0, idle=False) == pytest.approx(0.030)
    assert queue.expire(0.029) == []
    assert queue.expire(0.031) == ["a1"]
    assert [queue.take(0.031) for _ in range(3)] == [["a-wear"], ["b1"], []]
    put(queue, "c1", 1.0, patience_s=0.001, idle=True)
    assert queue.expire(1.5) == []
    assert queue.take(1.5) == ["c1"]


def test_a_frame_that_was_left_behind_when_others_were_taken_is_dropped_when_it_is_late() -> None:
    """It found the worker idle, but waits for a busy one now."""
    queue = Queue(1)
    put(queue, "a1", 0.0, patience_s=0.02, idle=True)
    put(queue, "b1", 0.0, patience_s=0.01, idle=True)
    assert queue.take(0.0) == ["b1"]
    assert queue.expire(0.021) == ["a1"]


def test_who_lost_a_frame_keeps_its_place() -> None:
    """Its next frame goes before one that came earlier; once it was served it waits like everybody."""
    queue = Queue(1)
    put(queue, "a1", 0.0, patience_s=0.03)
    put(queue, "b1", 0.02, patience_s=0.10)
    assert queue.expire(0.04) == ["a1"]
    put(queue, "a2", 0.05, patience_s=0.10)
    assert queue.take(0.06) == ["a2"]
    put(queue, "a3", 0.06, patience_s=0.10)
    assert queue.take(0.07) == ["b1"]


def test_who_has_no_token_comes_after_everybody_who_has() -> None:
    """Tokens come back at the rate, up to the burst; without anybody else they hold nobody back."""
    queue = Queue(1)
    for number in range(10):
        put(queue, f"a{number}", 0.0, patience_s=0.01)
        assert queue.take(0.0) == [f"a{number}"]
    put(queue, "a-next", 0.0, patience_s=0.01)
    put(queue, "b1", 0.0, patience_s=1.0)
    assert queue.take(0.001) == ["b1"]
    put(queue, "b2", 0.0, patience_s=1.0)
    assert queue.take(1.01 / RATE_HZ) == ["a-next"]
    assert BURST < 10


def test_a_job_that_nobody_waits_for_is_forgotten_and_all_can_be() -> None:
    """A caller that gave up leaves no work; a lost worker loses all of it."""
    queue = Queue(8)
    for item in ("a1", "b1", "c1"):
        put(queue, item, 0.0)
    queue.remove("b1")
    queue.remove("nobody")
    assert len(queue) == 2
    assert queue.clear() == ["a1", "c1"]
    assert (len(queue), queue.take(0.0), queue.next_s(0.0, idle=True)) == (0, [], None)


def test_calls_that_went_are_forgotten() -> None:
    """However many come and go."""
    queue = Queue()
    for number in range(500):
        at_s = number * FORGET_S / 5
        queue.put("x", call=str(number), now_s=at_s, patience_s=0.1, idle=True)
        queue.take(at_s)
    assert len(queue._calls) < 10


@dataclass
class Caller:
    """Makes a frame every `every_s`; `open_max` of them may wait in the queue, the newest other one in its mailbox."""

    every_s: float
    patience_s: float
    open_max: int = 1
    served: int = 0
    late: int = 0
    waits_s: list[float] = field(default_factory=list)
    open: int = 0
    has_newer: bool = False


class Machine:
    """A worker that takes `work_s` a batch, and its callers, in virtual time."""

    def __init__(self, callers: dict[str, Caller], *, work_s: float, batch_max: int = 1) -> None:
        self.callers = callers
        self.busy_s = 0.0
        self._work_s = work_s
        self._queue: FrameQueue[tuple[str, float]] = FrameQueue(batch_max)
        self._flying: list[tuple[str, float]] = []
        self._free_s = 0.0
        self._ticks = {name: number * 0.0011 for number, name in enumerate(callers)}

    def run(self, seconds: float) -> None:
        """So many seconds from the first frame on."""
        now_s = 0.0
        while now_s < seconds:
            look_s = self._queue.next_s(now_s, idle=not self._flying)
            times = (min(self._ticks.values()), self._free_s if self._flying else None, look_s)
            now_s = min(time_s for time_s in times if time_s is not None)
            self._step(now_s)

    def _step(self, now_s: float) -> None:
        if now_s >= self._free_s:
            done, self._flying = self._flying, []
            self._close(done, now_s)
        for name, caller in self.callers.items():
            if self._ticks[name] <= now_s:
                self._ticks[name] += caller.every_s
                caller.has_newer = True
                self._offer(name, now_s)
        late = self._queue.expire(now_s)
        for name, _ in late:
            self.callers[name].late += 1
        self._close(late, now_s)
        if not self._flying and (taken := self._queue.take(now_s)):
            self._flying, self._free_s = taken, now_s + self._work_s
            self.busy_s += self._work_s
            for name, put_s in taken:
                self.callers[name].served += 1
                self.callers[name].waits_s.append(now_s - put_s)

    def _close(self, frames: list[tuple[str, float]], now_s: float) -> None:
        for name, _ in frames:
            self.callers[name].open -= 1
        for name, _ in frames:
            self._offer(name, now_s)

    def _offer(self, name: str, now_s: float) -> None:
        caller = self.callers[name]
        if caller.has_newer and caller.open < caller.open_max:
            caller.has_newer, caller.open = False, caller.open + 1
            idle = not self._flying
            self._queue.put((name, now_s), call=name, now_s=now_s, patience_s=caller.patience_s, idle=idle)


def modest(count: int) -> dict[str, Caller]:
    """Callers at 30 frames a second."""
    return {f"call {number}": Caller(every_s=1 / 30, patience_s=2 / 30) for number in range(count)}


def served(callers: dict[str, Caller], *, work_s: float, seconds: float, batch_max: int = 1) -> list[int]:
    """How many frames of each caller were done."""
    machine = Machine(callers, work_s=work_s, batch_max=batch_max)
    machine.run(seconds)
    return [caller.served for caller in callers.values()]


@pytest.mark.parametrize("count", [5, 7, 20])
def test_everybody_is_served_alike_when_there_is_too_much(count: int) -> None:
    """A worker for four never idles, nobody waits beyond his patience, and shares differ by little."""
    callers = modest(count)
    shares = served(callers, work_s=1 / 120, seconds=10)
    assert sum(shares) >= 0.99 * 1200
    assert min(shares) > 0.9 * max(shares)
    assert max(max(caller.waits_s) for caller in callers.values()) <= 2 / 30
    assert any(caller.late for caller in callers.values()) == (count > 7)


def test_a_greedy_call_starves_nobody() -> None:
    """60 frames a second with half the patience, four at once in line, against five modest calls on a full worker."""
    callers = modest(5) | {"greedy": Caller(every_s=1 / 60, patience_s=1 / 30, open_max=4)}
    *shares, greedy = served(callers, work_s=1 / 150, seconds=10)
    assert min(shares) > 0.7 * 300
    assert greedy < 1.6 * min(shares)


def test_a_greedy_call_has_what_nobody_else_wants() -> None:
    """With room for all it gets its 60 a second."""
    callers = modest(2) | {"greedy": Caller(every_s=1 / 60, patience_s=1 / 30)}
    assert served(callers, work_s=1 / 200, seconds=5)[-1] >= 298
    assert all(caller.late == 0 for caller in callers.values())


def test_batches_serve_what_single_frames_could_not() -> None:
    """Eight calls, 12 ms a run: alone a third of the frames, together all, and nobody is late."""
    alone, together = modest(8), modest(8)
    assert sum(served(alone, work_s=0.012, seconds=5)) < 0.4 * 1200
    assert min(served(together, work_s=0.012, seconds=5, batch_max=8)) >= 149
    assert max(max(caller.waits_s) for caller in together.values()) <= 0.012 + WINDOW_S

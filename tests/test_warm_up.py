"""How much of the past a voice is fed between two hops."""

import pytest

from mirage_rtc.warm_up import BUSY_MOST, MOST_MS, WarmUp
from models.voice_change import PAST_MS, Warming

HOP_MS, RUN_MS = 40, 8.0


def _steps(ratio: float, count: int, *, waits: bool = False) -> list[Warming]:
    """The steps towards a voice that takes `ratio` of what it is fed, while the old one takes 8 ms of 40."""
    warm_up, steps = WarmUp(), []
    for _ in range(count):
        steps.append(warm_up.step(hop_ms=HOP_MS, run_ms=RUN_MS, waits=waits))
        warm_up.note(hop_ms=HOP_MS, fed_ms=steps[-1].most_ms, run_ms=ratio * steps[-1].most_ms)
    return steps


@pytest.mark.parametrize("ratio", [0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
def test_a_hop_and_a_step_take_no_more_than_four_fifths_of_the_hop(ratio: float) -> None:
    """However slow the voice is."""
    assert all(RUN_MS + ratio * step.most_ms <= BUSY_MOST * HOP_MS + 1e-6 for step in _steps(ratio, 37))


def test_the_first_step_is_the_shortest_and_a_quick_voice_is_fed_much_after_it() -> None:
    """What it costs is not known before; 200 ms are the longest hop."""
    assert [step.most_ms for step in _steps(0.05, 4)] == [40, 200, 200, 200]
    assert {step.past_ms for step in _steps(0.05, 4)} == {PAST_MS}


def test_a_voice_that_would_not_catch_up_follows_from_here_on() -> None:
    """A hop at a time, until it has heard a second in a row."""
    assert _steps(0.5, 37)[1:] == [Warming(most_ms=HOP_MS, past_ms=HOP_MS, least_ms=PAST_MS)] * 36


@pytest.mark.parametrize(("ratio", "waits"), [(0.9, False), (0.5, True), (0.05, True)])
def test_the_change_comes_in_time_whatever_was_heard(ratio: float, *, waits: bool) -> None:
    """Also where there is never time for a step: after a second and a half, with one hop."""
    steps = _steps(ratio, MOST_MS // HOP_MS + 2, waits=waits)
    assert steps[-1] == Warming(most_ms=HOP_MS, past_ms=HOP_MS)
    assert sum(step.most_ms for step in steps[:-1]) < 400
    assert not waits or not any(step.most_ms for step in steps[:-1])


def test_one_slow_step_is_not_the_last() -> None:
    """What it says is forgotten by and by."""
    warm_up = WarmUp()
    warm_up.step(hop_ms=HOP_MS, run_ms=RUN_MS, waits=False)
    warm_up.note(hop_ms=HOP_MS, fed_ms=40, run_ms=60.0)
    later = [warm_up.step(hop_ms=HOP_MS, run_ms=RUN_MS, waits=False).most_ms for _ in range(20)]
    assert later[0] == 0
    assert later[-1] == HOP_MS


def test_where_the_old_voice_leaves_no_time_nothing_is_fed() -> None:
    """It takes 36 ms of 40."""
    assert WarmUp().step(hop_ms=HOP_MS, run_ms=36.0, waits=False).most_ms == 0

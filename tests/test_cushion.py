"""The cushion follows the jitter that was measured, and nothing else."""

from collections.abc import Iterable

import pytest

from mirage_rtc.cushion import CUSHION_MAX_S, FALL_PER_S, Cushion
from tests.virtual_time import FakeClock


def _noted(clock: FakeClock, cushion: Cushion, ready_s: Iterable[float]) -> list[float]:
    delays_s = []
    for each_s in ready_s:
        clock.advance(0.02)
        cushion.note(each_s)
        delays_s.append(cushion.delay_s)
    return delays_s


def test_a_quiet_path_has_no_cushion() -> None:
    """Every hop is ready after 25 ms: that is when it leaves."""
    clock = FakeClock()

    assert _noted(clock, Cushion(clock), [0.025] * 100)[-1] == 0.025


def test_it_rises_at_once_and_falls_slowly() -> None:
    """Jitter raises it within a fifth of the window; when it is over it sinks by 10 ms a second, no faster."""
    clock = FakeClock()
    cushion = Cushion(clock)
    quiet = _noted(clock, cushion, [0.025] * 100)
    risen = _noted(clock, cushion, [0.025, 0.055] * 30)
    fallen = _noted(clock, cushion, [0.025] * 400)
    steps = [before - after for before, after in zip(fallen, fallen[1:], strict=False)]

    assert quiet[-1] == 0.025
    assert risen[-1] == pytest.approx(0.055)
    assert max(steps) == pytest.approx(FALL_PER_S * 0.02)
    assert fallen[-1] == 0.025


def test_three_packets_are_the_most() -> None:
    """However wild the jitter, nothing waits for more than 60 ms over the path's own delay."""
    clock = FakeClock()

    assert _noted(clock, Cushion(clock), [0.02, 0.115] * 100)[-1] == pytest.approx(0.02 + CUSHION_MAX_S)


def test_a_stall_and_a_few_losses_build_no_cushion() -> None:
    """What no cushion could have bridged, and what one packet in twenty needs, costs the others nothing."""
    clock = FakeClock()
    cushion = Cushion(clock)
    _noted(clock, cushion, [0.025] * 100)
    stalled = _noted(clock, cushion, [0.325 - n * 0.02 for n in range(15)] + [0.025] * 50)
    lossy = _noted(clock, cushion, ([0.065, 0.045] + [0.025] * 18) * 10)

    assert max(stalled) == max(lossy) == 0.025


def test_another_path_is_measured_afresh() -> None:
    """After `renew` the next hop alone says how long the way is."""
    clock = FakeClock()
    cushion = Cushion(clock)
    _noted(clock, cushion, [0.065] * 100)
    cushion.renew()

    assert _noted(clock, cushion, [0.025])[-1] == 0.025


def test_what_is_no_longer_needed_may_be_cut() -> None:
    """Three seconds after the jitter the surplus is known, and a cut takes it away at once."""
    clock = FakeClock()
    cushion = Cushion(clock)
    _noted(clock, cushion, [0.025, 0.075] * 30)
    needed_s = cushion.surplus_s
    _noted(clock, cushion, [0.025] * 155)
    surplus_s = cushion.surplus_s
    cushion.cut(0.02)

    assert needed_s == 0.0
    assert surplus_s > 0.04
    assert cushion.surplus_s == pytest.approx(surplus_s - 0.02)

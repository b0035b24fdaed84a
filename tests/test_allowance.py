"""A peer's allowance is spent and comes back with time, up to its most."""

from mirage_rtc.aiortc_private.allowance import Allowance
from tests.virtual_time import FakeClock


def test_what_is_spent_comes_back_with_time() -> None:
    """Twelve of ten are spent; a second brings five."""
    clock = FakeClock()
    allowance = Allowance(most=10, per_s=5, clock=clock)
    assert allowance.any()
    allowance.spend(12)
    assert not allowance.any()
    clock.now_s += 0.3
    assert not allowance.any()
    clock.now_s += 0.2
    assert allowance.any()


def test_it_never_holds_more_than_its_most() -> None:
    """An hour of silence saves up no more than one moment may cost."""
    clock = FakeClock()
    allowance = Allowance(most=10, per_s=5, clock=clock)
    clock.now_s += 3600
    assert allowance.any()
    allowance.spend(10)
    assert not allowance.any()

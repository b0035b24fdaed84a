"""How often the enhancer runs: the specification's hysteresis, in frames, without a clock."""

import pytest

from models.enhancer_budget import CADENCES, CALM_FRAMES, WINDOW_FRAMES, EnhancerBudget

FRAME_S = 0.04


def fed(budget: EnhancerBudget, ratio: float, frames: int) -> list[int]:
    """The cadence after each of so many frames that cost `ratio` of their time."""
    seen = []
    for _ in range(frames):
        budget.frame(ratio * FRAME_S, FRAME_S)
        seen.append(budget.every)
    return seen


@pytest.mark.parametrize(("ratio", "every"), [(0.5, 1), (0.74, 1), (0.78, 2), (0.81, 0), (1.5, 0)])
def test_the_first_step_comes_when_a_load_is_sustained(ratio: float, every: int) -> None:
    """Not a frame before a whole window of it."""
    seen = fed(EnhancerBudget(), ratio, WINDOW_FRAMES)
    assert seen == [1] * (WINDOW_FRAMES - 1) + [every]


def test_between_the_bounds_it_runs_less_and_less_often_and_then_not() -> None:
    """One step a window, never two at once."""
    seen = fed(EnhancerBudget(), 0.78, 5 * WINDOW_FRAMES)
    assert seen[WINDOW_FRAMES - 1 :: WINDOW_FRAMES] == [2, 3, 4, 0, 0]


def test_one_slow_frame_changes_nothing() -> None:
    """A detection, a page fault."""
    budget = EnhancerBudget()
    fed(budget, 0.5, WINDOW_FRAMES)
    budget.frame(4 * FRAME_S, FRAME_S)
    assert fed(budget, 0.5, WINDOW_FRAMES) == [1] * WINDOW_FRAMES


def test_it_comes_back_a_step_after_300_calm_frames_each() -> None:
    """Counted from the first whole window, and anew after each step."""
    budget = EnhancerBudget()
    fed(budget, 0.9, WINDOW_FRAMES)
    seen = fed(budget, 0.5, 4 * (CALM_FRAMES + WINDOW_FRAMES))
    changes = [index for index in range(1, len(seen)) if seen[index] != seen[index - 1]]
    assert changes[0] == CALM_FRAMES + WINDOW_FRAMES - 2
    assert [seen[index] for index in changes] == [*reversed(CADENCES)]


def test_between_calm_and_load_it_stays_as_it_is() -> None:
    """0.60 to 0.75 is nobody's reason."""
    budget = EnhancerBudget()
    fed(budget, 0.78, WINDOW_FRAMES)
    assert set(fed(budget, 0.65, 2 * CALM_FRAMES)) == {2}


def test_one_busy_frame_starts_the_count_of_calm_ones_again() -> None:
    """300 in a row."""
    budget = EnhancerBudget()
    fed(budget, 0.9, WINDOW_FRAMES)
    fed(budget, 0.5, CALM_FRAMES)
    fed(budget, 3.0, 4)
    assert set(fed(budget, 0.5, CALM_FRAMES)) == {0}


def test_a_step_that_would_not_hold_is_not_taken() -> None:
    """An enhancer that fills every fourth frame with more than its time would come and go for all to see."""
    slow, fast = EnhancerBudget(), EnhancerBudget()
    slow.ran(1.2 * FRAME_S)
    fast.ran(0.5 * FRAME_S)
    for budget in (slow, fast):
        fed(budget, 0.9, WINDOW_FRAMES)
        fed(budget, 0.5, CALM_FRAMES + WINDOW_FRAMES)
    assert (slow.every, fast.every) == (0, 4)


def test_a_pause_is_no_calm() -> None:
    """Nobody was there: a frame after a minute counts as one of a slow camera."""
    budget = EnhancerBudget()
    for _ in range(WINDOW_FRAMES):
        budget.frame(0.19, 60.0)
    assert budget.every == 0
    assert EnhancerBudget().ratio == 0.0

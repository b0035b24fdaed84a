"""The loss-based bitrate, rule by rule."""

import pytest

from mirage_rtc.loss_bitrate import MIN_BPS, LossBitrate


@pytest.mark.parametrize(
    ("loss", "factor"), [(0.0, 1.05), (0.019, 1.05), (0.02, 1.0), (0.10, 1.0), (0.2, 0.9), (1.0, 0.5)]
)
def test_one_report_changes_the_rate_as_the_draft_says(loss: float, factor: float) -> None:
    """Below 2 % up by 5 %, above 10 % down by half the loss, between them as it was."""
    assert LossBitrate(start_bps=1_000_000, max_bps=2_000_000).report(loss) == round(1_000_000 * factor)


def test_the_rate_stays_within_its_bounds() -> None:
    """A lossless hour does not exceed the maximum, a dead network does not go below the minimum."""
    rate = LossBitrate(start_bps=1_000_000, max_bps=1_500_000)
    assert [rate.report(0.0) for _ in range(100)][-1] == 1_500_000
    assert [rate.report(1.0) for _ in range(100)][-1] == MIN_BPS


def test_a_maximum_below_the_minimum_wins() -> None:
    """MIRAGE_VIDEO_KBPS_MAX may be 100: it is never exceeded, whatever is lost or not."""
    rate = LossBitrate(start_bps=100_000, max_bps=100_000)
    assert {rate.report(loss) for loss in (0.0, 1.0, 0.0, 0.05)} == {100_000}

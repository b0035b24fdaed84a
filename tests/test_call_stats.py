"""Rolling figures in virtual time."""

from mirage_rtc.call_stats import Rolling


def test_only_the_last_three_seconds_count() -> None:
    """20 values a second for 5 s are 20 a second, and old ones do not weigh on the median."""
    now = [0.0]
    rolling = Rolling(lambda: now[0])
    for n in range(100):
        now[0] = n / 20
        rolling.add(1000.0 if now[0] < 1.5 else 10.0)

    assert 19 <= rolling.per_second() <= 21
    assert rolling.median() == 10.0


def test_nothing_is_zero() -> None:
    """Without values the rate and the median are 0."""
    rolling = Rolling(lambda: 5.0)

    assert rolling.per_second() == 0
    assert rolling.median() == 0

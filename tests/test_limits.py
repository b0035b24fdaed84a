"""Rates and the anomaly rule, in virtual time."""

import pytest

from mirage_rtc.errors import TooMany
from signaling.limits import InvalidWindow, KeyedBuckets, Limits, SocketBudget, TokenBucket


def test_a_bucket_gives_its_burst_then_its_rate() -> None:
    """Three at once, then two a second."""
    bucket = TokenBucket(2.0, 3.0, now_s=100.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.take(100.5)
    assert not bucket.take(100.5)


def test_a_clock_that_steps_back_refills_nothing() -> None:
    """Nor does the step forward to where it was."""
    bucket = TokenBucket(1.0, 1.0, now_s=100.0)
    assert bucket.take(100.0)
    assert not bucket.take(50.0)
    assert not bucket.take(50.5)


def test_one_address_does_not_use_up_another_ones_rate() -> None:
    """Each key has a bucket of its own."""
    buckets = KeyedBuckets(1.0, 2.0)
    for key in ("a", "a", "b"):
        buckets.require(key, 0.0)
    with pytest.raises(TooMany) as caught:
        buckets.require("a", 0.0)
    assert caught.value.code == "rate_limited"
    buckets.require("b", 0.0)


def test_a_million_addresses_are_not_remembered() -> None:
    """The longest unused is forgotten."""
    buckets = KeyedBuckets(1.0, 1.0, kept=2)
    for key in ("a", "b", "c", "a"):
        buckets.require(key, 0.0)
    assert len(buckets._buckets) == 2


def test_a_socket_has_a_budget_of_messages_and_of_bytes() -> None:
    """Either one can run out."""
    limits = Limits(messages_per_s=2, bytes_per_s=100)
    budget = SocketBudget(limits, 0.0)
    for _ in range(4):
        budget.require(10, 0.0)
    with pytest.raises(TooMany):
        budget.require(10, 0.0)
    with pytest.raises(TooMany):
        SocketBudget(limits, 0.0).require(201, 0.0)


def test_thirty_per_cent_of_two_hundred_is_still_allowed() -> None:
    """The rule is *more than* 30 %, over the window: the 61st invalid one of 200 ends the session."""
    window = InvalidWindow()
    assert not any(window.judge(False) for _ in range(60))
    assert not any(window.judge(True) for _ in range(140))
    assert not window.judge(False)  # the oldest invalid one left the window
    steady = InvalidWindow()
    assert not any(steady.judge(n % 10 >= 3) for n in range(2_000))


def test_rubbish_from_the_start_ends_after_sixty_one() -> None:
    """Neither one bad message nor a bad first dozen can end a session."""
    window = InvalidWindow()
    assert [window.judge(False) for _ in range(61)].index(True) == 60


def test_a_third_invalid_ends_a_long_session() -> None:
    """At the 61st invalid message, not earlier."""
    window = InvalidWindow()
    verdicts = [window.judge(n % 3 > 0) for n in range(200)]
    assert verdicts.index(True) == 180  # the 61st

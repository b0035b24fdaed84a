"""What an ordinary link allows."""

from mirage_rtc.grants import Grants


def test_the_default_grants_fail_closed() -> None:
    """No passthrough and no hidden badge unless a token says so."""
    grants = Grants()

    assert not grants.passthrough
    assert not grants.badge_off

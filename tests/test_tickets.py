"""Resume tokens: opaque, many uses, dead with their session."""

import pytest

from mirage_rtc.errors import Unauthorized
from signaling.tickets import Tickets


def test_a_token_re_enters_its_session_any_number_of_times() -> None:
    """A page may reload as often as it likes."""
    tickets = Tickets()
    ada, bob = tickets.issue("a"), tickets.issue("b")
    assert [tickets.redeem(token) for token in (ada, bob, ada)] == ["a", "b", "a"]
    assert len(ada) >= 43  # 256 bits in base64


def test_a_token_dies_with_its_session() -> None:
    """Another session's token lives on."""
    tickets = Tickets()
    gone, kept = tickets.issue("a"), tickets.issue("b")
    tickets.keep({"b"})
    assert tickets.redeem(kept) == "b"
    assert len(tickets) == 1
    for token in (gone, "", "made up", "\ud800"):
        with pytest.raises(Unauthorized) as caught:
            tickets.redeem(token)
        assert caught.value.code == "resume_unknown"


def test_the_text_of_a_token_is_not_kept() -> None:
    """What leaks from memory or a core file opens nothing."""
    tickets = Tickets()
    token = tickets.issue("a")
    assert token not in repr(vars(tickets))

"""The replay cache: once each, also across a restart, and no longer than needed."""

import stat
from pathlib import Path

import pytest

from mirage_rtc.errors import Unauthorized, Unavailable
from mirage_rtc.grants import Grants
from signaling.auth import LinkClaims
from signaling.used_links import FILE, UsedLinks


def claims(jti: str = "one", *, expires_s: int = 1_000) -> LinkClaims:
    return LinkClaims(subject="ada", grants=Grants(), jti=jti, expires_s=expires_s)


def test_a_used_link_stays_used_after_a_restart(tmp_path: Path) -> None:
    """The file is the owner's alone."""
    links = UsedLinks(tmp_path, lambda: 500.0)
    links.reserve(claims())
    links.commit(claims())
    with pytest.raises(Unauthorized) as caught:
        UsedLinks(tmp_path, lambda: 600.0).reserve(claims())
    assert caught.value.code == "token_used"
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_released_link_can_be_used(tmp_path: Path) -> None:
    """A full server burns nobody's link."""
    links = UsedLinks(tmp_path, lambda: 500.0)
    links.reserve(claims())
    links.release(claims())
    links.reserve(claims())


def test_a_link_is_forgotten_after_it_expired(tmp_path: Path) -> None:
    """It is refused as expired then; the file does not grow for ever."""
    links = UsedLinks(tmp_path, lambda: 500.0)
    links.reserve(claims())
    links.commit(claims())
    UsedLinks(tmp_path, lambda: 1_100.0)
    assert (tmp_path / FILE).read_text() == ""


def test_a_line_torn_by_a_crash_is_skipped(tmp_path: Path) -> None:
    """The lines before it count."""
    (tmp_path / FILE).write_text("1000 whole\n10")
    links = UsedLinks(tmp_path, lambda: 500.0)
    links.reserve(claims("other"))
    with pytest.raises(Unauthorized):
        links.reserve(claims("whole"))


def test_a_disk_that_takes_nothing_is_a_coded_error(tmp_path: Path) -> None:
    """A use that cannot be kept is no use."""
    links = UsedLinks(tmp_path, lambda: 500.0)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises(Unavailable) as caught:
        links.commit(claims())
    assert caught.value.code == "links_unwritable"

"""The door when something goes wrong behind it: no link is lost, no session is left without an owner."""

import asyncio
from pathlib import Path

import pytest

from mirage_rtc.errors import TooMany, Unauthorized, Unavailable
from mirage_rtc.grants import Grants
from signaling import auth
from signaling.admission import Door
from signaling.tickets import Tickets
from signaling.used_links import FILE, UsedLinks
from tests.fake_session import FakeCalls

KEY = b"k" * 32
NOW_S = 1_000.0


def door(data_dir: Path, calls: FakeCalls) -> Door:
    return Door(
        key=KEY,
        calls=calls,
        used=UsedLinks(data_dir, lambda: NOW_S),
        tickets=Tickets(),
        clock_s=lambda: NOW_S,
        require_rate=lambda _: None,
    )


def link() -> str:
    return auth.mint(KEY, "ada", Grants(), 60, NOW_S)


async def test_a_link_joins_once_and_its_token_comes_back(tmp_path: Path) -> None:
    """Both ways in lead to the same session."""
    calls = FakeCalls()
    opened = door(tmp_path, calls)
    token = link()
    entry = await opened.enter(token)
    assert (await opened.enter(entry.resume_token)).call is entry.call
    with pytest.raises(Unauthorized) as caught:
        await opened.enter(token)
    assert caught.value.code == "token_used"


async def test_a_use_that_cannot_be_kept_opens_no_session(tmp_path: Path) -> None:
    """Or the link would open another one after a restart. It stays good for when the disk is."""
    calls = FakeCalls()
    opened = door(tmp_path, calls)
    token = link()
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises(Unavailable) as caught:
        await opened.enter(token)
    assert (caught.value.code, calls.sessions) == ("links_unwritable", {})
    (tmp_path / FILE).rmdir()
    assert (await opened.enter(token)).call.subject == "ada"


async def test_a_caller_who_gives_up_while_joining_keeps_the_link(tmp_path: Path) -> None:
    """A cancelled request leaves nothing behind."""
    calls = FakeCalls()
    opened = door(tmp_path, calls)
    token = link()
    joining = asyncio.create_task(opened.enter(token))
    await asyncio.sleep(0)
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    assert calls.sessions == {}
    await opened.enter(token)


async def test_a_refused_admission_is_the_registrys_word(tmp_path: Path) -> None:
    """And the link can be used when there is room."""
    calls = FakeCalls(capacity=0)
    opened = door(tmp_path, calls)
    token = link()
    with pytest.raises(TooMany) as caught:
        await opened.enter(token)
    assert caught.value.code == "at_capacity"
    calls.capacity = 1
    await opened.enter(token)


async def test_a_token_of_a_session_that_ended_is_unknown(tmp_path: Path) -> None:
    """Also before anything swept it away."""
    calls = FakeCalls()
    opened = door(tmp_path, calls)
    entry = await opened.enter(link())
    await entry.call.close("time_over", "Over.")
    with pytest.raises(Unauthorized) as caught:
        opened.recall(entry.resume_token)
    assert caught.value.code == "resume_unknown"

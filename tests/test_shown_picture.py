"""What a call is said to show, in virtual time."""

from dataclasses import replace
from pathlib import Path

from mirage_rtc.gate import PictureKind
from mirage_rtc.grants import Grants
from mirage_rtc.session import Session
from mirage_rtc.session_events import SessionEvent, StateChanged
from mirage_rtc.shown_picture import HOLD_S, ShownPicture
from tests.call_parts import registry
from tests.virtual_time import FakeClock


def _told(shown: ShownPicture, clock: FakeClock, kinds: list[PictureKind], *, passing: bool = True) -> list[str]:
    """The changes that pictures of these kinds make, thirty of them a second."""
    changes: list[str] = []
    for kind in kinds:
        clock.advance(1 / 30)
        if shown.note(kind, passing=passing):
            changes.append(str(shown.kind))
    return changes


def test_each_picture_with_and_without_a_raw_face_is_one_change() -> None:
    """At once there, and back when nobody was uncovered for a second."""
    clock = FakeClock()
    shown = ShownPicture(clock)
    assert _told(shown, clock, ["live"] * 5) == ["live"]
    assert _told(shown, clock, ["passthrough", "live"] * 100) == ["passthrough"]
    assert _told(shown, clock, ["live"] * 20) == []
    assert _told(shown, clock, ["live"] * 20) == ["live"]


def test_covered_pictures_are_told_at_once() -> None:
    """Frozen or a card: nobody is seen in them. What comes between is no way back."""
    clock = FakeClock()
    shown = ShownPicture(clock)
    kinds: list[PictureKind] = ["passthrough", "frozen", "live", "card"]
    assert _told(shown, clock, kinds) == ["passthrough", "frozen", "passthrough", "card"]
    clock.advance(HOLD_S)
    assert _told(shown, clock, ["live"]) == ["live"]


def test_the_end_of_passthrough_is_told_at_once() -> None:
    """Nothing raw leaves from then on."""
    clock = FakeClock()
    shown = ShownPicture(clock)
    assert _told(shown, clock, ["passthrough", "live"]) == ["passthrough"]
    assert _told(shown, clock, ["live"], passing=False) == ["live"]


async def test_a_mixed_call_floods_neither_the_audit_log_nor_the_page(tmp_path: Path) -> None:
    """Somebody who is left alone comes and goes with each picture: one line and one message, until it lasts."""
    mixed: list[PictureKind] = ["live", "passthrough"]
    covered: list[PictureKind] = ["live"]
    async with registry(tmp_path) as (calls, vault):
        clock = FakeClock()
        session = Session("one", "x", Grants(passthrough=True), replace(calls._surroundings(vault), clock=clock))
        session.set_passthrough(face=True, voice=False)
        told: list[SessionEvent] = []
        session.attach(told.append)
        for kind in mixed * 30 + covered * 60:
            clock.advance(1 / 30)
            session._see(kind)
        events = (tmp_path / "audit.jsonl").read_text()

    assert [event.state.picture for event in told if isinstance(event, StateChanged)] == ["live", "passthrough", "live"]
    assert (events.count('"swap_in"'), events.count('"swap_out"')) == (2, 1)

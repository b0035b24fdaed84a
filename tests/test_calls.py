"""The real session and registry are what signalling asks for; mypy checks it, and so do the scripted ones."""

import inspect

from mirage_rtc.chunk_leg import ChunkMedia
from mirage_rtc.registry import Registry
from mirage_rtc.session import Session
from signaling.calls import Call, Calls, ChunkLine
from tests.fake_session import FakeCall, FakeCalls, FakeLine


def as_calls(registry: Registry | FakeCalls) -> Calls:
    """Checked by mypy."""
    return registry


def as_call(session: Session | FakeCall) -> Call:
    """Checked by mypy."""
    return session


def as_line(media: ChunkMedia | FakeLine) -> ChunkLine:
    """Checked by mypy."""
    return media


def test_nothing_is_asked_for_that_is_not_there() -> None:
    """For a run without mypy: every method of a Protocol exists, with the same parameters."""
    for protocol, real in ((Calls, Registry), (Call, Session), (ChunkLine, ChunkMedia)):
        for name, asked in inspect.getmembers(protocol, inspect.isfunction):
            if not name.startswith("_"):
                given = inspect.signature(getattr(real, name))
                assert list(given.parameters) == list(inspect.signature(asked).parameters), f"{real}.{name}"

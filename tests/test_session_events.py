"""What a session says is what the wire carries."""

import msgspec

from mirage_rtc.session_events import SessionState
from signaling.protocol import CallState


def test_the_wires_state_is_a_part_of_the_sessions() -> None:
    """Every field that the page is shown is one that the session has."""
    wire = {field.name for field in msgspec.structs.fields(CallState)}
    session = {field.name for field in msgspec.structs.fields(SessionState)}

    assert wire <= session

"""The wire against golden messages, and what it refuses."""

import contextlib
import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirage_rtc.errors import BadInput
from signaling import protocol

DATA = Path(__file__).parent / "data"
CLIENT: list[dict[str, Any]] = json.loads((DATA / "wire_client.json").read_text())
SERVER: list[dict[str, Any]] = json.loads((DATA / "wire_server.json").read_text())


def types_of(union: Any) -> set[str]:
    return {member.__struct_config__.tag for member in get_args(union)}


@pytest.mark.parametrize("golden", CLIENT, ids=range(len(CLIENT)))
def test_a_clients_message_is_read_as_it_was_when_recorded(golden: dict[str, Any]) -> None:
    """Every field of the golden message is read, and none is lost."""
    assert json.loads(msgspec.json.encode(protocol.decode(json.dumps(golden)))) == golden


@pytest.mark.parametrize("golden", SERVER, ids=lambda golden: golden["type"])
def test_a_servers_message_is_written_as_it_was_when_recorded(golden: dict[str, Any]) -> None:
    """A field that is renamed or lost fails here."""
    message = msgspec.convert(golden, protocol.ServerMessage)
    assert json.loads(protocol.encode(message)) == golden


def test_the_golden_files_hold_every_message() -> None:
    """A message added to the protocol needs its recording."""
    assert {golden["type"] for golden in CLIENT} == types_of(protocol.ClientMessage)
    assert {golden["type"] for golden in SERVER} == types_of(protocol.ServerMessage)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "malformed"),
        ("[" * 10_000, "array"),
        ('{"x":' + "[" * 30_000 + "]" * 30_000 + ',"type":"bye"}', "recursion"),
        ('{"version":1}', "`type`"),
        ('{"type":"shutdown"}', "shutdown"),
        ('{"type":"hello","version":"1"}', "$.version"),
        ('{"type":"hello","version":1,"admin":true}', "admin"),
        ('{"type":"set_voice","pitch_semitones":NaN}', "malformed"),
        ('{"type":"set_voice","pitch_semitones":1e9}', "$.pitch_semitones"),
        ('{"type":"set_voice","protect":0.6}', "$.protect"),
        ('{"type":"set_voice","gate_db":-10}', "$.gate_db"),
        ('{"type":"set_voice","input_gain_db":21}', "$.input_gain_db"),
        ('{"type":"set_voice","index_rate":1.5}', "$.index_rate"),
        ('{"type":"set_identity","identity":""}', "$.identity"),
        ('{"type":"candidate","candidate":"' + "x" * 2000 + '"}', "$.candidate"),
        ('{"type":"offer"}', "`sdp`"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_field_named(text: str, named: str) -> None:
    """Unknown fields, wrong types and numbers out of bounds among them."""
    with pytest.raises(BadInput) as caught:
        protocol.decode(text)
    assert caught.value.code == "message_bad"
    assert named in caught.value.sentence or "truncated" in caught.value.sentence


def test_the_type_of_a_refused_message_is_found_where_there_is_one() -> None:
    """For the `about` of the error."""
    assert protocol.tag_of('{"sdp":"v=0","type":"offer"}') == "offer"
    assert protocol.tag_of("nonsense") is None
    assert protocol.tag_of('{"type":7}') is None


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_text_at_all_gets_more_than_a_coded_error(data: str | bytes) -> None:
    """Whatever a stranger sends."""
    protocol.tag_of(data)
    with contextlib.suppress(BadInput):
        protocol.decode(data)

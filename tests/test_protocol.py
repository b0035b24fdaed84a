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
from signaling.protocol import Chunk

DATA = Path(__file__).parent / "data"
CLIENT: list[dict[str, Any]] = json.loads((DATA / "wire_client.json").read_text())
SERVER: list[dict[str, Any]] = json.loads((DATA / "wire_server.json").read_text())


def types_of(union: Any) -> set[str]:
    return {member.__struct_config__.tag for member in get_args(union)}


@pytest.mark.parametrize("golden", CLIENT, ids=range(len(CLIENT)))
def test_a_clients_message_is_read_as_it_was_when_recorded(golden: dict[str, Any]) -> None:
    """Every field of the golden message is read, and none is lost."""
    assert msgspec.to_builtins(protocol.decode(json.dumps(golden))) == golden


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
def test_no_bytes_at_all_get_more_than_a_coded_error(data: str | bytes) -> None:
    """Whatever a stranger sends, as a message or as a chunk."""
    protocol.tag_of(data)
    with contextlib.suppress(BadInput):
        protocol.decode(data)
    with contextlib.suppress(BadInput):
        protocol.unpack_chunk(data.encode() if isinstance(data, str) else data)


def test_a_chunk_is_sixteen_bytes_and_its_payload() -> None:
    """u8 kind, u8 version, u16 zero, u32 sequence, u64 capture_us, little-endian."""
    packed = protocol.pack_chunk(Chunk(protocol.CHUNK_SOUND, 258, 3, b"\x01\x02"))
    assert packed == bytes.fromhex("01 01 0000 02010000 0300000000000000 0102")
    assert protocol.unpack_chunk(packed) == Chunk(1, 258, 3, b"\x01\x02")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        bytes(16),
        bytes.fromhex("01 01 0000 00000000 0000000000000000"),
        bytes.fromhex("03 01 0000 00000000 0000000000000000 00"),
        bytes.fromhex("01 02 0000 00000000 0000000000000000 00"),
        bytes.fromhex("01 01 0100 00000000 0000000000000000 00"),
    ],
    ids=["empty", "short", "zeros", "no payload", "kind", "version", "reserved"],
)
def test_a_chunk_that_is_none_is_refused(data: bytes) -> None:
    """Every field of the header is checked."""
    with pytest.raises(BadInput) as caught:
        protocol.unpack_chunk(data)
    assert caught.value.code == "chunk_bad"

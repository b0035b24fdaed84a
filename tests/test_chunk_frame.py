"""The binary frame against its bytes, and what it refuses."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirage_rtc.errors import BadInput
from signaling.chunk_frame import CHUNK_SOUND, Chunk, pack_chunk, unpack_chunk


def test_a_chunk_is_sixteen_bytes_and_its_payload() -> None:
    """u8 kind, u8 version, u16 zero, u32 sequence, u64 capture_us, little-endian."""
    packed = pack_chunk(Chunk(CHUNK_SOUND, 258, 3, b"\x01\x02"))
    assert packed == bytes.fromhex("01 01 0000 02010000 0300000000000000 0102")
    assert unpack_chunk(packed) == Chunk(1, 258, 3, b"\x01\x02")


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
        unpack_chunk(data)
    assert caught.value.code == "chunk_bad"


@given(st.binary(max_size=64))
def test_no_bytes_at_all_get_more_than_a_coded_error(data: bytes) -> None:
    """Whatever a stranger sends; what is read packs to the same bytes again."""
    with contextlib.suppress(BadInput):
        assert pack_chunk(unpack_chunk(data)) == data

"""The binary frame of the media fallback: a header of 16 bytes and a payload, both directions.

`chunk_socket.py` packs and unpacks with it; `tests/chunk_client.py` is the same from the other side.
"""

import struct
from typing import NamedTuple

from mirage_rtc.errors import BadInput

CHUNK_VERSION = 1
CHUNK_SOUND = 1
CHUNK_PICTURE = 2
CHUNK_RATE_HZ = 16_000
CHUNK_SAMPLES = 3_072
"""192 ms at 16 kHz: the specification's chunk."""
CHUNK_SAMPLES_MAX = 6_400
"""400 ms at 16 kHz, the longest sound chunk taken."""

_CHUNK_HEADER = struct.Struct("<BBHIQ")


class Chunk(NamedTuple):
    """One binary frame of the media fallback, either direction."""

    kind: int
    sequence: int
    capture_us: int
    payload: bytes


def pack_chunk(chunk: Chunk) -> bytes:
    """Little-endian: u8 kind, u8 version, u16 zero, u32 sequence, u64 capture time in us, payload."""
    return _CHUNK_HEADER.pack(chunk.kind, CHUNK_VERSION, 0, chunk.sequence, chunk.capture_us) + chunk.payload


def unpack_chunk(data: bytes) -> Chunk:
    """Read a binary frame; raises BadInput `chunk_bad`."""
    if len(data) <= _CHUNK_HEADER.size:
        raise BadInput("chunk_bad", "A media chunk is a header of 16 bytes and a payload; this one is too short.")
    kind, version, reserved, sequence, capture_us = _CHUNK_HEADER.unpack_from(data)
    if version != CHUNK_VERSION or reserved or kind not in (CHUNK_SOUND, CHUNK_PICTURE):
        raise BadInput("chunk_bad", "This media chunk has an unknown kind or version; send kind 1 or 2, version 1.")
    return Chunk(kind, sequence, capture_us, data[_CHUNK_HEADER.size :])

"""Reads protobuf's wire format (protobuf.dev, "Encoding"): the fields of a message, without schema and without copies.

What is read may be anybody's, so every length is checked before it is used. Called by the readers of .onnx files.
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Field = tuple[int, int, memoryview]
"""Number, wire type, and the bytes of the value: without its length for a message or bytes."""


def fields(message: memoryview) -> Iterator[Field]:
    """The fields in their order. Raises ValueError for what is no message, or is cut short."""
    at = 0
    while at < len(message):
        key, at = read_varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            end = read_varint(message, at)[1]
        elif kind == BYTES:
            size, at = read_varint(message, at)
            end = at + size
        elif kind in {FIXED64, FIXED32}:
            end = at + (8 if kind == FIXED64 else 4)
        else:
            raise ValueError("not an ONNX file")
        if end > len(message):
            raise ValueError("the file is cut short")
        yield number, kind, message[at:end]
        at = end


def read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number at a place, and the place behind it. Raises ValueError."""
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("not an ONNX file")
    raise ValueError("the file is cut short")


def varints(value: memoryview) -> list[int]:
    """The numbers of a repeated field: one, or several that are packed."""
    numbers, at = [], 0
    while at < len(value):
        number, at = read_varint(value, at)
        numbers.append(number)
    return numbers

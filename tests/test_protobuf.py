"""The wire format, from hands that may lie about lengths."""

import pytest

from models.protobuf import BYTES, FIXED32, VARINT, fields, varints


def test_fields_come_in_their_order() -> None:
    """The example of the encoding's own page, 150 in field 1, then bytes, then four of them fixed."""
    message = b"\x08\x96\x01" + b"\x12\x03abc" + b"\x1d\x01\x02\x03\x04"
    found = [(number, kind, bytes(value)) for number, kind, value in fields(memoryview(message))]
    assert found == [(1, VARINT, b"\x96\x01"), (2, BYTES, b"abc"), (3, FIXED32, b"\x01\x02\x03\x04")]
    assert varints(memoryview(b"\x96\x01\x05")) == [150, 5]
    assert list(fields(memoryview(b""))) == []


@pytest.mark.parametrize(
    "message",
    [b"\x08", b"\x08\x96", b"\x12\x04abc", b"\x12\xff\xff\xff\xff\x0fabc", b"\x0b", b"\x1d\x01", b"\xff" * 11],
    ids=["no value", "half a number", "short bytes", "4 GB of bytes", "a group", "short fixed", "endless number"],
)
def test_what_is_cut_short_or_no_message_is_an_error(message: bytes) -> None:
    """Never a value of another length than it says."""
    with pytest.raises(ValueError, match="cut short|not an ONNX file"):
        list(fields(memoryview(message)))

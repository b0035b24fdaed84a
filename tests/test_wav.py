"""Reference clips as people's programs write them, and what is refused."""

import io
import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirage_rtc.errors import BadInput, MirageError, TooLarge
from signaling.wav import read_clip

RATE_HZ = 16_000


def wav(body: bytes, *, coding: int = 1, channels: int = 1, bits: int = 16, rate_hz: int = RATE_HZ) -> bytes:
    """A RIFF file by hand, with a chunk to skip in it."""
    width = bits // 8 * channels
    fmt = struct.pack("<HHIIHH", coding, channels, rate_hz, rate_hz * width, width, bits)
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def tone(seconds: float = 3.0) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.asarray(np.sin(np.arange(round(seconds * RATE_HZ)) * 0.05) * 0.5)


CODED = {
    "u8": wav(np.rint(tone() * 128 + 128).astype("u1").tobytes(), bits=8),
    "i16": wav(np.rint(tone() * 2**15).astype("<i2").tobytes()),
    "i24": wav(b"".join(int(x).to_bytes(3, "little", signed=True) for x in np.rint(tone() * 2**23)), bits=24),
    "i32": wav(np.rint(tone() * 2**31).astype("<i4").tobytes(), bits=32),
    "f32": wav(tone().astype("<f4").tobytes(), coding=3, bits=32),
    "f64": wav(tone().astype("<f8").tobytes(), coding=3, bits=64),
}


@pytest.mark.parametrize("name", CODED)
def test_every_usual_coding_gives_the_same_sound(name: str) -> None:
    """Integers of four widths and both floats."""
    samples, rate_hz = read_clip(CODED[name])
    assert (rate_hz, len(samples)) == (RATE_HZ, 3 * RATE_HZ)
    np.testing.assert_allclose(samples, tone(), atol=0.01 if name == "u8" else 1e-4)


def test_channels_are_mixed_to_one() -> None:
    """Opposite channels cancel."""
    both = np.stack((tone(), -tone()), axis=1)
    samples, _ = read_clip(wav(np.rint(both * 2**15).astype("<i2").tobytes(), channels=2))
    assert np.abs(samples).max() < 1e-3


def test_a_file_of_the_standard_library_is_read() -> None:
    """Not only our own writer's files."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(2 * 8_000 * 4))
    samples, rate_hz = read_clip(buffer.getvalue())
    assert (len(samples), rate_hz) == (32_000, 8_000)


SECONDS = bytes(2 * RATE_HZ)
REFUSED: list[tuple[bytes, str]] = [
    (b"", "clip_format"),
    (b"ID3" + bytes(100), "clip_format"),
    (wav(SECONDS * 2), "clip_too_short"),
    (wav(SECONDS * 31), "clip_too_long"),
    (wav(SECONDS * 4, coding=2), "clip_format"),
    (wav(SECONDS * 4, channels=0), "clip_format"),
    (wav(SECONDS * 4, channels=9), "clip_format"),
    (wav(SECONDS * 4, rate_hz=0), "clip_format"),
    (wav(SECONDS * 4, bits=12), "clip_format"),
    (wav(b"")[:30], "clip_corrupt"),
    (wav(np.full(4 * RATE_HZ, np.nan, "<f4").tobytes(), coding=3, bits=32), "clip_corrupt"),
]


@pytest.mark.parametrize(("data", "code"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_usable_clip_is_refused(data: bytes, code: str) -> None:
    """Each with the code that says what to do."""
    with pytest.raises(MirageError) as caught:
        read_clip(data)
    assert caught.value.code == code
    assert isinstance(caught.value, BadInput | TooLarge)


@given(st.binary(max_size=300))
def test_no_header_at_all_gets_more_than_a_coded_error(rest: bytes) -> None:
    """Whatever follows the first twelve bytes."""
    with pytest.raises(MirageError):
        read_clip(b"RIFF0000WAVEfmt \x10\0\0\0" + rest)


def test_a_clip_cut_off_in_a_sample_is_read_to_the_last_whole_one() -> None:
    """A recording that was stopped hard is still of use."""
    samples, _ = read_clip(wav(bytes(3 * RATE_HZ * 3 + 2), bits=24))
    assert len(samples) == 3 * RATE_HZ

"""Pictures from strangers: what is accepted, how it is read, and what every bad file is answered with."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mirage_rtc.errors import BadInput, MirageError, TooLarge
from mirage_rtc.pictures import decode_picture, encode_jpeg, shrink
from models.engines import Frame

RED = (200, 30, 20)


def decode(data: bytes) -> Frame:
    """Decode within limits that the good pictures of this file keep."""
    return decode_picture(data, max_bytes=1 << 20, max_pixels=1 << 20)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def code_of(data: bytes, kind: type[MirageError]) -> str:
    """The code with which a file is refused."""
    with pytest.raises(kind) as caught:
        decode(data)
    assert caught.value.sentence.endswith(".")
    return caught.value.code


def png_header(width_px: int, height_px: int) -> bytes:
    """A PNG that ends after its header and a little data."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" * 9)),
    ]
    body = b"".join(struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_still_becomes_a_bgr_frame(kind: str) -> None:
    """(height, width, 3) uint8, contiguous, blue first."""
    frame = decode(saved(Image.new("RGB", (30, 20), RED), kind, quality=95))
    assert frame.shape == (20, 30, 3)
    assert frame.dtype == np.uint8
    assert frame.flags.c_contiguous
    assert np.abs(frame[10, 15].astype(int) - RED[::-1]).max() <= 6


def test_a_portrait_taken_sideways_is_set_upright() -> None:
    """The camera's EXIF orientation is applied: 6 means that the top is on the right."""
    picture = Image.new("RGB", (40, 20), (0, 0, 0))
    picture.paste(RED, (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    frame = decode(saved(picture, "PNG", exif=exif))
    assert frame.shape == (40, 20, 3)
    assert tuple(frame[5, 10]) == RED[::-1]
    assert tuple(frame[35, 10]) == (0, 0, 0)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_shows_mid_grey(mode: str) -> None:
    """A cut-out portrait lies on grey, whatever colour its transparent pixels hide."""
    clear = Image.new("RGBA", (8, 8), (255, 0, 255, 0))
    picture = clear.convert(mode) if mode != "P" else clear.quantize(2)
    assert np.abs(decode(saved(picture, "PNG")).astype(int) - 128).max() <= 1


def test_sixteen_bit_grey_keeps_its_levels() -> None:
    """Half of full scale is mid grey, not white."""
    levels = np.full((8, 8), 32768, np.uint16)
    assert np.abs(decode(saved(Image.fromarray(levels), "PNG")).astype(int) - 128).max() <= 1


@pytest.mark.parametrize("mode", ["L", "1", "CMYK"])
def test_other_colour_modes_are_converted(mode: str) -> None:
    """White stays white in grey, bilevel and print colours."""
    kind = "JPEG" if mode == "CMYK" else "PNG"
    picture = Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode)
    assert decode(saved(picture, kind)).min() >= 250


def test_a_file_that_is_too_long_is_refused_before_it_is_read() -> None:
    """40 MB of anything is "picture_too_large"."""
    assert code_of(b"x" * (40 << 20), TooLarge) == "picture_too_large"


@pytest.mark.parametrize("side_px", [2000, 10_500, 14_200, 60_000])
def test_a_header_with_too_many_pixels_is_refused_before_they_are_decoded(side_px: int) -> None:
    """From just above our limit, over Pillow's warning and its error, to 3.6 gigapixels."""
    assert code_of(png_header(side_px, side_px), TooLarge) == "picture_too_large"


def test_a_200_megapixel_jpeg_header_is_refused() -> None:
    """The size in a JPEG's frame header is believed and refused."""
    data = bytearray(saved(Image.new("RGB", (16, 16)), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 10_000, 20_000)
    assert code_of(bytes(data), TooLarge) == "picture_too_large"


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_other_formats_are_refused(kind: str) -> None:
    """Only three decoders face strangers."""
    assert code_of(saved(Image.new("RGB", (8, 8)), kind), BadInput) == "picture_format"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_refused(kind: str) -> None:
    """A portrait is one picture."""
    frames = [Image.new("RGB", (8, 8), (level, 0, 0)) for level in (0, 90, 180)]
    assert code_of(saved(frames[0], kind, save_all=True, append_images=frames[1:]), BadInput) == "picture_format"


def test_a_phone_s_jpeg_with_a_second_picture_is_a_still() -> None:
    """Multi-picture JPEGs (depth, gain maps) give their first picture."""
    first = Image.new("RGB", (16, 12), RED)
    data = saved(first, "MPO", save_all=True, append_images=[Image.new("RGB", (16, 12))])
    assert np.abs(decode(data)[6, 8].astype(int) - RED[::-1]).max() <= 8


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_half_a_file_is_corrupt(kind: str, part: float) -> None:
    """A truncated upload is never shown half grey."""
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    data = saved(Image.fromarray(noise), kind)
    assert code_of(data[: int(len(data) * part)], BadInput) == "picture_corrupt"


def test_a_png_with_a_damaged_chunk_is_corrupt() -> None:
    """A flipped bit in the pixel data is caught by its checksum."""
    data = bytearray(saved(Image.effect_noise((64, 64), 80), "PNG"))
    data[data.index(b"IDAT") + 40] ^= 0xFF
    assert code_of(bytes(data), BadInput) == "picture_corrupt"


@given(
    start=st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\x20\0\0\0WEBPVP8 ", png_header(9, 9)]
    ),
    rest=st.binary(max_size=200),
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_raise_anything_but_a_coded_error(start: bytes, rest: bytes) -> None:
    """Whatever arrives, the caller sees a frame or a coded error."""
    try:
        assert decode(start + rest).ndim == 3
    except MirageError as error:
        assert error.code.startswith("picture_")  # noqa: PT017  a frame is as good an end as an error


def test_a_frame_survives_jpeg() -> None:
    """What is encoded decodes to nearly the same picture, colours in order."""
    frame = np.zeros((32, 48, 3), np.uint8)
    frame[:, :24] = (250, 10, 10)
    again = decode(encode_jpeg(frame, 92))
    assert np.abs(again.astype(int) - frame).mean() < 4


def test_shrink_keeps_the_shape_and_never_enlarges() -> None:
    """The longer side meets the limit; a smaller picture is the same object."""
    frame = np.zeros((300, 100, 3), np.uint8)
    assert shrink(frame, 150).shape == (150, 50, 3)
    assert shrink(frame, 300) is frame

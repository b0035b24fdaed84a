"""Pictures from strangers: bytes in, a BGR frame out, or a coded error. Called for portraits and for JPEG chunks.

Size, format and pixel count are read from the header before a single pixel is decoded. All functions are synchronous:
call them off the event loop when the picture may be large.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mirage_rtc.errors import BadInput, TooLarge
from models.engines import Frame

FORMATS = ("JPEG", "PNG", "WEBP")
BACKDROP = (128, 128, 128)
"""What shows through transparent pixels: mid grey, so that no edge of a cut-out portrait glows."""


def decode_picture(data: bytes, *, max_bytes: int, max_pixels: int) -> Frame:
    """Decode a JPEG, PNG or WebP still to (height, width, 3) uint8 BGR, upright, without transparency.

    Raises `TooLarge` "picture_too_large", `BadInput` "picture_format" (another format, or animated) and `BadInput`
    "picture_corrupt" (truncated or damaged).
    """
    if len(data) > max_bytes:
        raise TooLarge("picture_too_large", f"The picture has more than {max_bytes // 1024} KiB: send a smaller file.")
    with _open_header(data) as picture:
        _check_header(picture, max_pixels)
        return _decode(picture)


def encode_jpeg(frame: Frame, quality: int) -> bytes:
    """Encode a BGR frame as baseline JPEG; `quality` is 1 to 95."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1])).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def shrink(frame: Frame, longest_px: int) -> Frame:
    """`frame` scaled so that its longer side is at most `longest_px`; a smaller one is returned as it is."""
    height_px, width_px = frame.shape[:2]
    scale = longest_px / max(height_px, width_px)
    if scale >= 1:
        return frame
    size = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    return np.array(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


def _open_header(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooLarge("picture_too_large", "The picture has too many pixels: scale it down first.") from None
    except UnidentifiedImageError:
        raise BadInput("picture_format", "This is not a JPEG, PNG or WebP picture: convert it first.") from None
    except Exception:  # noqa: BLE001  hostile headers raise OSError, SyntaxError, struct.error, zlib.error and more
        raise _corrupt() from None


def _check_header(picture: Image.Image, max_pixels: int) -> None:
    if picture.width * picture.height > max_pixels:
        sentence = f"The picture has more than {max_pixels / 1e6:.0f} megapixels: scale it down first."
        raise TooLarge("picture_too_large", sentence)
    if getattr(picture, "is_animated", False) and picture.format != "MPO":  # MPO: a phone's JPEG with a second picture
        raise BadInput("picture_format", "This picture is animated: send a still.")


def _decode(picture: Image.Image) -> Frame:
    try:
        upright = ImageOps.exif_transpose(picture)
        return _to_bgr(upright)
    except Exception:  # noqa: BLE001  damaged data raises OSError, SyntaxError, ValueError, struct.error, zlib.error
        raise _corrupt() from None


def _to_bgr(picture: Image.Image) -> Frame:
    if picture.mode.startswith("I") or picture.mode == "F":
        return np.repeat(_deep_grey(picture)[:, :, None], 3, axis=2)
    rgb = _flatten(picture) if picture.has_transparency_data else picture.convert("RGB")
    return np.ascontiguousarray(np.asarray(rgb)[:, :, ::-1])


def _deep_grey(picture: Image.Image) -> NDArray[np.uint8]:
    """16-bit grey as 8 bits; Pillow's own conversion would clip it to white."""
    levels = np.asarray(picture, dtype=np.float32)
    return np.clip(levels / 257, 0, 255).round().astype(np.uint8)


def _flatten(picture: Image.Image) -> Image.Image:
    layer = picture.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (*BACKDROP, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")


def _corrupt() -> BadInput:
    return BadInput("picture_corrupt", "The picture is damaged or incomplete: save or export it again.")

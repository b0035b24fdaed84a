"""Reads an uploaded WAV clip: PCM of 8, 16, 24 or 32 bits or float, any channels, to mono. Called by `voices_api`.

The standard library's `wave` refuses float, which is what browsers record, so the RIFF chunks are walked here
(Multimedia Programming Interface 1.0, and WAVE_FORMAT_EXTENSIBLE of 2001).
"""

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mirage_rtc.errors import BadInput, TooLarge
from models.engines import Samples

CLIP_MIN_S = 3.0
CLIP_MAX_S = 30.0
RATE_MIN_HZ = 8_000
RATE_MAX_HZ = 192_000
CHANNELS_MAX = 8

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_FORMAT = struct.Struct("<HHIIHH")


class _Layout(NamedTuple):
    coding: int
    channels: int
    rate_hz: int
    bits: int


def read_clip(data: bytes) -> tuple[Samples, int]:
    """(mono float32 samples, sample rate in Hz) of a WAV file of 3 to 30 s.

    Raises BadInput `clip_format`, `clip_corrupt` or `clip_too_short`, TooLarge `clip_too_long`.
    """
    layout, body = _parts(data)
    width = layout.bits // 8 * layout.channels
    seconds = len(body) / width / layout.rate_hz
    if seconds < CLIP_MIN_S:
        raise BadInput("clip_too_short", f"The clip lasts {seconds:.1f} s; {CLIP_MIN_S:.0f} s of speech are needed.")
    if seconds > CLIP_MAX_S:
        raise TooLarge("clip_too_long", f"The clip is longer than {CLIP_MAX_S:.0f} s; cut it to the clearest part.")
    channels = _numbers(body[: len(body) // width * width], layout).reshape(-1, layout.channels)
    mono = channels.mean(axis=1).astype(np.float32)
    if not np.isfinite(mono).all():
        raise _corrupt()
    return np.clip(mono, -1.0, 1.0), layout.rate_hz


def _parts(data: bytes) -> tuple[_Layout, bytes]:
    """The format and the sound of a RIFF file; other chunks are skipped."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise BadInput("clip_format", "This is not a WAV file. Save the recording as WAV and upload it again.")
    layout: _Layout | None = None
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + size]
        if name == b"fmt ":
            layout = _layout(body)
        elif name == b"data" and layout is not None:
            return layout, body
        at += 8 + size + size % 2
    raise _corrupt()


def _layout(body: bytes) -> _Layout:
    if len(body) < _FORMAT.size:
        raise _corrupt()
    coding, channels, rate_hz, _, _, bits = _FORMAT.unpack_from(body)
    if coding == _EXTENSIBLE and len(body) >= 26:
        coding = struct.unpack_from("<H", body, 24)[0]
    known = bits in (8, 16, 24, 32) if coding == _PCM else coding == _FLOAT and bits in (32, 64)
    if not known or not 1 <= channels <= CHANNELS_MAX or not RATE_MIN_HZ <= rate_hz <= RATE_MAX_HZ:
        raise BadInput("clip_format", "This WAV is neither PCM nor float at 8 to 192 kHz. Save it as 16-bit PCM.")
    return _Layout(coding, channels, rate_hz, bits)


def _numbers(body: bytes, layout: _Layout) -> NDArray[np.float64]:
    """Interleaved samples in [-1, 1]."""
    if layout.coding == _FLOAT:
        return np.frombuffer(body, dtype=f"<f{layout.bits // 8}").astype(np.float64)
    if layout.bits == 8:
        return (np.frombuffer(body, dtype=np.uint8).astype(np.float64) - 128) / 128
    if layout.bits == 24:
        packed = np.frombuffer(body, dtype=np.uint8).reshape(-1, 3)
        wide = np.zeros((len(packed), 4), dtype=np.uint8)
        wide[:, 1:] = packed
        return np.frombuffer(wide.tobytes(), dtype="<i4").astype(np.float64) / 2**31
    whole = np.frombuffer(body, dtype=f"<i{layout.bits // 8}").astype(np.float64)
    return whole / float(2 ** (layout.bits - 1))


def _corrupt() -> BadInput:
    return BadInput("clip_corrupt", "The WAV file is damaged or incomplete. Save or export it again.")

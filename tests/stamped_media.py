"""Media that carries the time it was sent: a bar code across the top of each picture, and chirps in the sound.

Sent and read by `stamped_client`; what reads them does not know the codec, the server or the size that came back.
"""

import math
import zlib
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from av import VideoFrame
from numpy.typing import NDArray
from scipy import signal
from skimage import data

from mirage_rtc.badge import I420
from models.engines import Samples

CODE_BITS, CHECK_BITS = 40, 8
"""A time in microseconds, which turns over after 12.7 days, and its checksum."""
COLUMNS, ROWS = 16, 3
BAND_SHARE = ROWS / 32
"""Height of the band over the picture's width."""
DARK, LIGHT = 40, 216
DOUBT = 24
"""A block whose luma is this near to the middle is not read at all."""

RATE_HZ = 48_000
CHIRP_SAMPLES = 960
CHIRP_PEAK = 0.6
CHIRPS_HZ = ((500, 3000), (3000, 500), (3500, 6000), (6000, 3500))
"""Start and end of each kind: kinds in turn tell a chirp from its neighbours however late it comes."""
ALIKE = 0.6
"""Least correlation with a chirp, 1 being the chirp itself."""

Luma = NDArray[np.uint8]
"""(height, width)."""


def write_code(picture: I420, time_us: int) -> None:
    """Stamp an I420 picture, whose width is a multiple of 32, with the lower 40 bits of a time."""
    width_px, height_px = picture.shape[1], picture.shape[0] * 2 // 3
    value = time_us & ((1 << CODE_BITS) - 1)
    word = value << CHECK_BITS | _check(value)
    bits = np.array([word >> index & 1 for index in range(COLUMNS * ROWS)], np.uint8).reshape(ROWS, COLUMNS)
    block_h, block_w = width_px // 32, width_px // COLUMNS
    band_px = block_h * ROWS
    picture[:band_px] = (DARK + bits * (LIGHT - DARK)).repeat(block_h, axis=0).repeat(block_w, axis=1)
    planes = picture.reshape(-1)[height_px * width_px :].reshape(2, -1)
    planes[:, : band_px // 2 * (width_px // 2)] = 128


def read_code(luma: Luma) -> int | None:
    """The stamped time in microseconds, of a picture scaled and compressed; None when it is not there or in doubt."""
    height_px, width_px = luma.shape
    block_h, block_w = width_px // 32, width_px // COLUMNS
    if block_h < 4 or height_px < block_h * ROWS:
        return None
    blocks = luma[: block_h * ROWS, : block_w * COLUMNS].reshape(ROWS, block_h, COLUMNS, block_w)
    inner = blocks[:, block_h // 4 : -(block_h // 4), :, block_w // 4 : -(block_w // 4)]
    levels = inner.mean(axis=(1, 3)).reshape(-1)
    if np.abs(levels - 128).min() < DOUBT:
        return None
    word = sum(1 << index for index in np.flatnonzero(levels > 128).tolist())
    value = word >> CHECK_BITS
    return value if word & ((1 << CHECK_BITS) - 1) == _check(value) else None


def age_ms(code: int, now_us: int) -> float:
    """How long ago a read code was stamped."""
    return ((now_us - code) & ((1 << CODE_BITS) - 1)) / 1000.0


def luma_of(frame: VideoFrame) -> Luma:
    """The luma plane of a planar YUV frame, not copied."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8)
    return rows[: frame.height * plane.line_size].reshape(frame.height, plane.line_size)[:, : frame.width]


@lru_cache(maxsize=2)
def panning(size_px: int = 512, count: int = 60) -> tuple[I420, ...]:
    """A photograph seen by a camera that moves in a circle: what a call's encoder has to work on. Loops smoothly."""
    sweep_px = 32
    photograph = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)  # type: ignore[no-untyped-call]
    large = cv2.resize(photograph, (size_px + 2 * sweep_px, size_px + 2 * sweep_px))
    pictures = []
    for index in range(count):
        turn = 2 * math.pi * index / count
        x, y = round(sweep_px * (1 + math.sin(turn))), round(sweep_px * (1 + math.cos(turn)))
        view = np.ascontiguousarray(large[y : y + size_px, x : x + size_px])
        pictures.append(np.asarray(cv2.cvtColor(view, cv2.COLOR_BGR2YUV_I420), np.uint8))
    return tuple(pictures)


@lru_cache(maxsize=len(CHIRPS_HZ))
def chirp(kind: int) -> Samples:
    """20 ms of a linear chirp in a Hann window, at 48 kHz."""
    start_hz, end_hz = CHIRPS_HZ[kind]
    at_s = np.arange(CHIRP_SAMPLES) / RATE_HZ
    swept = signal.chirp(at_s, start_hz, CHIRP_SAMPLES / RATE_HZ, end_hz)
    return np.asarray(CHIRP_PEAK * swept * np.hanning(CHIRP_SAMPLES), np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardChirp:
    """A chirp found in a recording: its kind, and the index of its first sample."""

    kind: int
    start: int


def find_chirps(sound: Samples) -> list[HeardChirp]:
    """All chirps of a recording at 48 kHz in order, by a matched filter over the local loudness."""
    if len(sound) < CHIRP_SAMPLES:
        return []
    loudness = np.sqrt(np.maximum(signal.oaconvolve(sound**2, np.ones(CHIRP_SAMPLES, np.float32), "valid"), 0.0))
    floor = 0.02 * float(np.linalg.norm(chirp(0)))
    found = []
    for kind in range(len(CHIRPS_HZ)):
        template = chirp(kind)
        matched = signal.oaconvolve(sound, template[::-1], "valid") / np.linalg.norm(template)
        likeness = matched / np.maximum(loudness, floor)
        peaks, _ = signal.find_peaks(likeness, height=ALIKE, distance=CHIRP_SAMPLES)
        found += [HeardChirp(kind=kind, start=int(peak)) for peak in peaks]
    return sorted(found, key=lambda heard: heard.start)


def _check(value: int) -> int:
    return zlib.crc32(value.to_bytes(CODE_BITS // 8, "little")) & ((1 << CHECK_BITS) - 1)

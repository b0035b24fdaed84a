"""What lip-sync is measured by where both engines are on: numbered pictures of a face, and gated bursts of a voice.

A patch in the corner, away from the face, numbers each picture; a flash over all of it would hide the face and be
covered. Bursts are found by their loudness alone, since a converted voice keeps no waveform. Used by `skew_client`.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from mirage_rtc.badge import I420
from models.engines import Samples
from tests import media
from tests.stamped_media import Luma

RATE_HZ = 48_000
NUMBER_BITS = 8
BLOCK_PX = 32
"""The patch is 4 x 2 blocks at the lower left; the badge is at the upper right."""
DARK, LIGHT = 40, 216
STEP_S = 0.002
SEARCH_S = 0.6
"""How late a burst may come back."""
BURST_S, FADE_S = 0.28, 0.01
ALIKE = 0.75
"""Least correlation of a burst's loudness with what was sent."""

Envelope = NDArray[np.float64]


def write_number(picture: I420, number: int) -> None:
    """Number an I420 picture by its lowest 8 bits, in place."""
    height_px, width_px = picture.shape[0] * 2 // 3, picture.shape[1]
    bits = np.array([number >> index & 1 for index in range(NUMBER_BITS)], np.uint8).reshape(2, 4)
    patch = (DARK + bits * (LIGHT - DARK)).repeat(BLOCK_PX, axis=0).repeat(BLOCK_PX, axis=1)
    picture[height_px - 2 * BLOCK_PX : height_px, : 4 * BLOCK_PX] = patch
    planes = picture.reshape(-1)[height_px * width_px :].reshape(2, height_px // 2, width_px // 2)
    planes[:, -BLOCK_PX:, : 2 * BLOCK_PX] = 128


def read_number(luma: Luma) -> int | None:
    """The number of a picture that came back; None when it is covered or in doubt."""
    blocks = luma[-2 * BLOCK_PX :, : 4 * BLOCK_PX].reshape(2, BLOCK_PX, 4, BLOCK_PX)
    levels = blocks[:, 8:-8, :, 8:-8].mean(axis=(1, 3)).reshape(-1)
    if np.minimum(np.abs(levels - DARK), np.abs(levels - LIGHT)).max() > 40:
        return None
    return int(sum(1 << index for index in np.flatnonzero(levels > 128).tolist()))


@lru_cache(maxsize=1)
def face_pictures() -> tuple[I420, ...]:
    """A talking head as I420, 512 x 512, that loops without a cut."""
    frames = media.talking_head("man_a").frames
    return tuple(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420), np.uint8) for frame in frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bursts:
    """A voice that is heard for 280 ms at a time at uneven distances; `starts` are sample indices."""

    sound: Samples
    starts: tuple[int, ...]


@lru_cache(maxsize=2)
def bursts(seconds: float = 60.0) -> Bursts:
    """Gated speech: the loudest pieces of a recording, 0.75 to 1.25 s apart, each as loud as the others."""
    rng, length = np.random.default_rng(8), round(BURST_S * RATE_HZ)
    fade = np.ones(length, np.float32)
    ramp = np.linspace(0, 1, round(FADE_S * RATE_HZ), dtype=np.float32)
    fade[: len(ramp)], fade[-len(ramp) :] = ramp, ramp[::-1]
    pieces = _loudest(media.speech("man", RATE_HZ), length)
    sound = np.zeros(round(seconds * RATE_HZ), np.float32)
    starts: list[int] = []
    at = RATE_HZ // 2
    while at + RATE_HZ < len(sound):
        piece = pieces[len(starts) % len(pieces)]
        sound[at : at + length] = 0.12 * fade * piece / max(1e-6, float(piece.std()))
        starts.append(at)
        at += round(rng.uniform(0.75, 1.25) * RATE_HZ)
    return Bursts(sound=np.clip(sound, -1, 1), starts=tuple(starts))


def _loudest(voice: Samples, length: int) -> list[Samples]:
    """The twelve pieces whose quietest tenth is loudest: voiced throughout."""
    pieces = [voice[at : at + length] for at in range(0, len(voice) - length, length // 2)]
    return sorted(pieces, key=lambda piece: -float(np.quantile(np.abs(piece).reshape(-1, 672).max(axis=1), 0.1)))[:12]


def loudness(sound: Samples) -> Envelope:
    """The smoothed envelope of a sound, a value every 2 ms, compressed so that no syllable outweighs the gate."""
    step = round(STEP_S * RATE_HZ)
    peaks = np.abs(sound[: len(sound) // step * step]).reshape(-1, step).mean(axis=1)
    smooth = np.hanning(11) / np.hanning(11).sum()
    return np.asarray(np.sqrt(np.convolve(peaks, smooth, "same")), np.float64)


def lateness_s(sent: Envelope, heard: Envelope) -> float | None:
    """How much later a burst is in `heard` than in `sent`, which begin at the same moment; None when it is not there.

    `heard` is longer by SEARCH_S. The best of all shifts, a parabola through its neighbours for what lies between.
    """
    shape = sent - sent.mean()
    windows = np.lib.stride_tricks.sliding_window_view(heard, len(sent))
    spread = windows.std(axis=1) * len(sent) * max(1e-12, float(shape.std()))
    alike = windows @ shape / np.maximum(spread, 1e-9)
    best = int(np.argmax(alike))
    if alike[best] < ALIKE or best in (0, len(alike) - 1):
        return None
    left, middle, right = alike[best - 1 : best + 2]
    return float((best + 0.5 * (left - right) / (left - 2 * middle + right)) * STEP_S)

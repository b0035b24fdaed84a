"""An animated photograph and a babbling voice: what `tests.media` shows and says without the recorded assets.

The photograph is scikit-image's `astronaut` (NASA, public domain). It rolls, sways, breathes in and out of the camera
and opens its mouth; a "person" is a mirror and a tint of it, enough for tests that only need two different pictures.
"""

import functools
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import signal
from skimage import data

from models.engines import Frame, Samples

BABBLE_RATE_HZ = 16000
_FACE = (176.0, 58.0, 272.0, 182.0)
_MOUTH = (224.0, 141.0)
_ZOOM = 1.7
_TINTS: dict[str, tuple[bool, tuple[float, float, float]]] = {
    "man_a": (False, (1.0, 1.0, 1.0)),
    "man_b": (True, (1.05, 0.9, 0.85)),
    "woman_a": (False, (0.85, 1.0, 1.1)),
    "woman_b": (True, (0.8, 0.85, 1.0)),
}
_VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (530, 1840, 2480), (300, 870, 2240))


def pose(person: str, *, time_s: float, size_px: int) -> tuple[Frame, tuple[float, float, float, float]]:
    """The photograph at one moment and the box of its face, in pixels of the returned square frame."""
    mirrored, tint = _TINTS[person]
    talking = _with_open_mouth(_photograph(), 0.5 - 0.5 * math.cos(2 * math.pi * 3.1 * time_s))
    matrix = _camera(time_s, size_px)
    frame = cv2.warpAffine(talking, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    frame = np.clip(frame * np.array(tint), 0, 255).astype(np.uint8)
    box = _warped_box(matrix)
    if not mirrored:
        return np.ascontiguousarray(frame), box
    return np.ascontiguousarray(frame[:, ::-1]), (size_px - box[2], box[1], size_px - box[0], box[3])


def babble(*, f0_hz: float, seconds: float) -> Samples:
    """Syllables at `BABBLE_RATE_HZ`: glottal pulses (Rosenberg-like) through three moving formants, with pauses."""
    count = round(seconds * BABBLE_RATE_HZ)
    time = np.arange(count) / BABBLE_RATE_HZ
    f0 = f0_hz * (1 + 0.12 * np.sin(2 * np.pi * 0.7 * time) + 0.05 * np.sin(2 * np.pi * 2.3 * time))
    phase = np.cumsum(f0) / BABBLE_RATE_HZ
    pulse = np.where(phase % 1 < 0.6, np.sin(np.pi * (phase % 1) / 0.6) ** 2, 0.0)
    noise = np.random.default_rng(round(f0_hz)).normal(0, 0.02, count)
    source = np.diff(pulse, prepend=0.0) + noise * 0.3
    sounded = sum((_syllables(source, index, time) for index in range(len(_VOWELS_HZ))), np.zeros(count))
    return np.asarray(0.5 * sounded / np.abs(sounded).max(), np.float32)


@functools.lru_cache(maxsize=1)
def _photograph() -> Frame:
    photo: Frame = data.astronaut()  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(photo[..., ::-1])


def _with_open_mouth(photo: Frame, opening: float) -> Frame:
    """Draw the lower lip and chin down by up to 4 px and darken the gap."""
    height, width = photo.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    nearness = np.exp(-(((x - _MOUTH[0]) / 26) ** 2) - ((y - _MOUTH[1] - 12) / 20) ** 2)
    drop = 4.0 * opening * nearness * np.clip((y - _MOUTH[1]) / 6, 0, 1)
    moved = cv2.remap(photo, x, (y - drop).astype(np.float32), cv2.INTER_LINEAR)
    if opening > 0.3:
        centre = (round(_MOUTH[0]), round(_MOUTH[1] + 1))
        cv2.ellipse(moved, centre, (10, max(1, round(2 * opening))), 3, 0, 360, (48, 38, 90), -1, cv2.LINE_AA)
    return np.asarray(moved, np.uint8)


def _camera(time_s: float, size_px: int) -> NDArray[np.float64]:
    roll_deg = 6 * math.sin(2 * math.pi * 0.31 * time_s)
    zoom = _ZOOM * (1 + 0.06 * math.sin(2 * math.pi * 0.23 * time_s + 1)) * size_px / 512
    centre = ((_FACE[0] + _FACE[2]) / 2, (_FACE[1] + _FACE[3]) / 2)
    matrix = cv2.getRotationMatrix2D(centre, roll_deg, zoom)
    sway = (0.04 * math.sin(2 * math.pi * 0.41 * time_s), 0.02 * math.sin(2 * math.pi * 0.53 * time_s))
    matrix[0, 2] += size_px * (0.5 + sway[0]) - centre[0]
    matrix[1, 2] += size_px * (0.48 + sway[1]) - centre[1]
    return np.asarray(matrix, np.float64)


def _warped_box(matrix: NDArray[np.float64]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = _FACE
    middle = matrix @ np.array([(x0 + x1) / 2, (y0 + y1) / 2, 1.0])
    half = np.hypot(matrix[0, 0], matrix[0, 1]) * np.array([x1 - x0, y1 - y0]) / 2
    left, top = middle - half
    right, bottom = middle + half
    return float(left), float(top), float(right), float(bottom)


def _syllables(source: NDArray[Any], vowel: int, time: NDArray[Any]) -> NDArray[Any]:
    """One vowel's share: the source through its formants, gated to every fifth syllable of 0.23 s."""
    sounded = source
    for formant_hz, bandwidth_hz in zip(_VOWELS_HZ[vowel], (80, 100, 140), strict=True):
        radius = math.exp(-math.pi * bandwidth_hz / BABBLE_RATE_HZ)
        angle = 2 * math.pi * formant_hz / BABBLE_RATE_HZ
        sounded = signal.lfilter([1 - radius], [1, -2 * radius * math.cos(angle), radius**2], sounded)
    slot, within = np.divmod(time, 0.23)
    return np.asarray(sounded * (slot % 5 == vowel) * np.clip(np.sin(np.pi * within / 0.2), 0, 1) * (within < 0.2))

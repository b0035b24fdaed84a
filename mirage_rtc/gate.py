"""The gate: the one place that decides what may be encoded. Everything it lets out is a SafePicture or SafeSound.

Fail closed: a raw picture or voice passes only while this session's passthrough is on. When there is no freshly
swapped picture, the last good one stays for at most 500 ms, then the policy's picture (a card, or a blur computed from
16x16 pixels once in five seconds) takes its place; for voice, silence. Used by `video_path` and `audio_path`; tracks
encode nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mirage_rtc import badge
from mirage_rtc.badge import I420
from mirage_rtc.clock import Clock
from models.engines import FaceBox, Samples

FREEZE_S = 0.5
"""How long the last good picture may stand in."""
BLUR_PX = 16
"""A blurred fallback knows no more than this many pixels on a side."""
BLUR_HELD_S = 5.0
"""For so long one blurred picture is shown: of a head that moves, many together would know more than one (aliasing)."""

PictureKind = Literal["live", "frozen", "card", "passthrough"]
SoundKind = Literal["live", "silent", "passthrough"]
FailPolicy = Literal["card", "blur"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SafePicture:
    """An I420 picture that may leave the server. `generation` is the gate's when it was let through."""

    i420: I420
    capture_s: float
    kind: PictureKind
    generation: int

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height)."""
        return self.i420.shape[1], self.i420.shape[0] * 2 // 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeSound:
    """Mono samples that may leave the server."""

    samples: Samples
    capture_s: float
    kind: SoundKind
    generation: int


@lru_cache(maxsize=32)
def card(width_px: int, height_px: int) -> I420:
    """The privacy card: drawn, nobody's picture. Read-only."""
    image = Image.new("RGB", (width_px, height_px), (17, 20, 28))
    draw = ImageDraw.Draw(image)
    short = min(width_px, height_px)
    cx, cy, r = width_px / 2, height_px * 0.44, short * 0.13
    line = max(2, short // 90)
    draw.ellipse((cx - r, cy - r, cx + r, cy + r), outline=(126, 138, 160), width=line)
    draw.line((cx - r * 0.7, cy + r * 0.7, cx + r * 0.7, cy - r * 0.7), fill=(126, 138, 160), width=line)
    font = ImageFont.load_default(size=max(10, short * 0.05))
    draw.text((cx, cy + r * 1.9), "Covered for privacy", font=font, fill=(198, 206, 220), anchor="mm")
    drawn = np.asarray(cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2YUV_I420), dtype=np.uint8)
    drawn.setflags(write=False)
    return drawn


def blur(i420: I420) -> I420:
    """A picture that knows no more than 16x16 luma and 8x8 chroma pixels of the raw one."""
    height_px, width_px = i420.shape[0] * 2 // 3, i420.shape[1]
    flat = i420.reshape(-1)
    out = np.empty_like(flat)
    start = 0
    for scale in (1, 2, 2):
        h, w, few = height_px // scale, width_px // scale, BLUR_PX // scale
        plane = flat[start : start + h * w].reshape(h, w)
        small = cv2.resize(plane, (few, few), interpolation=cv2.INTER_AREA)
        out[start : start + h * w] = cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC).reshape(-1)
        start += h * w
    return out.reshape(i420.shape)


class PictureGate:
    """The video gate of one call."""

    def __init__(self, *, policy: FailPolicy, clock: Clock, on_kind: Callable[[PictureKind], None]) -> None:
        self.generation = 0
        self.passthrough = False
        self.badge = True
        self._policy = policy
        self._clock = clock
        self._on_kind = on_kind
        self._good: SafePicture | None = None
        self._good_s = 0.0
        self._blurred: I420 | None = None
        self._blurred_s = 0.0
        self._closed = False

    def flush(self) -> None:
        """Forget every picture let through so far: they are of another identity, or raw."""
        self.generation += 1
        self._good = None

    def freeze_left_s(self) -> float:
        """How much longer the last good picture may stand in; 0 when there is none."""
        return 0.0 if self._good is None else max(0.0, self._good_s + FREEZE_S - self._clock())

    def close(self) -> None:
        """Let nothing but the card through from now on: the call goes on elsewhere, or nowhere."""
        self.flush()
        self._closed = True

    def swapped(
        self, i420: I420, faces: tuple[FaceBox, ...], *, capture_s: float, generation: int
    ) -> SafePicture | None:
        """Let a picture through in which at least one face wears an identity and all others are hidden.

        One in which a face is untouched is raw: it passes only while passthrough is on, and never stands in later.
        None when it was asked for before the last flush, or nobody in it is shown.
        """
        bare = any(face.untouched for face in faces)
        if self._closed or generation != self.generation or not (bare or any(face.swapped for face in faces)):
            return None
        if bare and not self.passthrough:
            return None
        if self.badge:
            badge.stamp(i420, faces)
        if bare:
            self._on_kind("passthrough")
            return SafePicture(i420=i420, capture_s=capture_s, kind="passthrough", generation=generation)
        safe = SafePicture(i420=i420, capture_s=capture_s, kind="live", generation=generation)
        self._good, self._good_s = safe, self._clock()
        self._on_kind("live")
        return safe

    def raw(self, i420: I420, *, capture_s: float, generation: int) -> SafePicture | None:
        """Let a raw picture through: only while passthrough is on, only one taken since it was."""
        if self._closed or not self.passthrough or generation != self.generation:
            return None
        self._on_kind("passthrough")
        return SafePicture(i420=i420, capture_s=capture_s, kind="passthrough", generation=generation)

    def fallback(self, size_px: tuple[int, int], raw: I420 | None = None) -> SafePicture:
        """What is shown when there is nothing fresh: the last good picture for 500 ms, then card or blur."""
        now_s = self._clock()
        if self._good is not None and now_s - self._good_s <= FREEZE_S:
            self._on_kind("frozen")
            good = self._good
            return SafePicture(i420=good.i420, capture_s=now_s, kind="frozen", generation=self.generation)
        self._good = None
        if self._closed:
            return SafePicture(i420=card(*size_px), capture_s=now_s, kind="card", generation=self.generation)
        self._on_kind("card")
        blurred = self._blur(raw, now_s) if raw is not None and self._policy == "blur" else None
        covered = card(*size_px) if blurred is None else blurred
        return SafePicture(i420=covered, capture_s=now_s, kind="card", generation=self.generation)

    def _blur(self, raw: I420, now_s: float) -> I420 | None:
        """The blurred picture of now, at most one in five seconds; None where that has another size than `raw`."""
        if self._blurred is None or now_s - self._blurred_s >= BLUR_HELD_S:
            self._blurred, self._blurred_s = blur(raw), now_s
        return self._blurred if self._blurred.shape == raw.shape else None


class SoundGate:
    """The audio gate of one call: a converted hop, a raw one while passthrough is on, or silence."""

    def __init__(self, *, on_kind: Callable[[SoundKind], None]) -> None:
        self.generation = 0
        self.passthrough = False
        self.muted = False
        self._on_kind = on_kind
        self._closed = False

    def flush(self) -> None:
        """Sound asked for before this may not pass any more."""
        self.generation += 1

    def close(self) -> None:
        """Let nothing but silence through from now on."""
        self.flush()
        self._closed = True

    def converted(self, samples: Samples, *, capture_s: float, generation: int) -> SafeSound:
        """A converted hop, or silence when it was asked for before the last flush, is not finite, or muted."""
        stale = self._closed or generation != self.generation
        if stale or self.muted or not np.isfinite(samples).all():
            return self.silence(len(samples), capture_s=capture_s)
        self._on_kind("live")
        return SafeSound(samples=samples, capture_s=capture_s, kind="live", generation=generation)

    def raw(self, samples: Samples, *, capture_s: float, generation: int) -> SafeSound:
        """A raw hop while passthrough is on, else silence."""
        if self._closed or not self.passthrough or generation != self.generation or self.muted:
            return self.silence(len(samples), capture_s=capture_s)
        self._on_kind("passthrough")
        return SafeSound(samples=samples, capture_s=capture_s, kind="passthrough", generation=generation)

    def silence(self, count: int, *, capture_s: float) -> SafeSound:
        """`count` samples of nothing."""
        if not self._closed:
            self._on_kind("silent")
        quiet = np.zeros(count, np.float32)
        return SafeSound(samples=quiet, capture_s=capture_s, kind="silent", generation=self.generation)

"""The WebSocket fallback of one session: the same paths, fed with PCM and pictures that `signaling` decoded."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Literal

import cv2
import numpy as np

from mirage_rtc.badge import I420
from mirage_rtc.clock import CaptureClock
from mirage_rtc.errors import Unavailable
from mirage_rtc.gate import SafePicture, SafeSound
from mirage_rtc.leg import Leg, LegParts
from mirage_rtc.tracks import usable, working_size
from models.engines import Frame, Samples

CHUNK_RATE_HZ = 16_000
CHUNK_SAMPLES = 3_072
"""192 ms, the specification's chunk."""
_MOVED = "The media moved to another connection; go on there."


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkOut:
    """One converted piece: `samples` (3072 at 16 kHz) or `frame` (BGR); `capture_us` is on the client's clock."""

    kind: Literal["sound", "picture"]
    capture_us: int
    generation: int
    samples: Samples | None = None
    frame: Frame | None = None


class ChunkMedia:
    """What `signaling.chunk_socket` talks to."""

    def __init__(self, parts: LegParts) -> None:
        self.leg = Leg(parts, sample_rate_hz=CHUNK_RATE_HZ, frame_samples=CHUNK_SAMPLES, fill=False)
        self._clock = CaptureClock()
        self._offset_s = 0.0
        self._waiting: dict[str, asyncio.Task[ChunkOut]] = {}
        self._closed = False

    def push_sound(self, samples: Samples, *, capture_us: int) -> None:
        """Take 16 kHz mono float32."""
        self.leg.audio.push(samples, capture_s=self._capture_s(capture_us))

    def push_picture(self, frame: Frame, *, capture_us: int) -> None:
        """Take a BGR picture; the newest wins."""
        if not usable(frame.shape[1], frame.shape[0]):
            return
        size_px = working_size(frame.shape[1], frame.shape[0])
        self.leg.video.push(partial(_to_i420, frame, size_px), size_px=size_px, capture_s=self._capture_s(capture_us))

    async def next(self) -> ChunkOut:
        """The next piece that may be sent. Raises Unavailable "chunks_closed" after `close`."""
        if self._closed:
            raise Unavailable("chunks_closed", _MOVED)
        for kind, take in (("sound", self._next_sound), ("picture", self._next_picture)):
            if kind not in self._waiting:
                self._waiting[kind] = asyncio.create_task(take())
        done, _ = await asyncio.wait(self._waiting.values(), return_when=asyncio.FIRST_COMPLETED)
        if self._closed:
            raise Unavailable("chunks_closed", _MOVED)
        for kind in ("sound", "picture"):  # audio first
            if self._waiting[kind] in done:
                return self._waiting.pop(kind).result()
        raise Unavailable("chunks_closed", _MOVED)

    def is_stale(self, out: ChunkOut) -> bool:
        """Whether `out` may no longer be sent: asked again after encoding, just before sending."""
        gate = self.leg.video.gate if out.kind == "picture" else self.leg.audio.gate
        return out.generation != gate.generation

    async def close(self) -> None:
        """End the leg. Idempotent."""
        self._closed = True
        for task in self._waiting.values():
            task.cancel()
        await asyncio.gather(*self._waiting.values(), return_exceptions=True)
        await self.leg.close()

    def _capture_s(self, capture_us: int) -> float:
        """The client's capture time on our clock."""
        client_s = capture_us / 1e6
        capture_s = self._clock.capture_s(client_s, self.leg.clock())
        self._offset_s = capture_s - client_s
        return capture_s

    def _client_us(self, safe: SafePicture | SafeSound) -> int:
        return max(0, round((safe.capture_s - self._offset_s) * 1e6))

    async def _next_picture(self) -> ChunkOut:
        safe: SafePicture = await self.leg.video.next()
        self.leg.picture_sent(safe)
        frame = np.asarray(cv2.cvtColor(safe.i420, cv2.COLOR_YUV2BGR_I420), dtype=np.uint8)
        return ChunkOut(kind="picture", frame=frame, capture_us=self._client_us(safe), generation=safe.generation)

    async def _next_sound(self) -> ChunkOut:
        safe: SafeSound = await self.leg.audio.next()
        self.leg.sound_sent(safe)
        return ChunkOut(
            kind="sound", samples=safe.samples, capture_us=self._client_us(safe), generation=safe.generation
        )


def _to_i420(frame: Frame, size_px: tuple[int, int]) -> I420:
    """A BGR picture as I420 at its working size."""
    if (frame.shape[1], frame.shape[0]) != size_px:
        frame = np.asarray(cv2.resize(frame, size_px, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420), dtype=np.uint8)

"""The media fallback on the signalling socket: binary chunks in and out when no UDP path can be had.

`peer_socket.py` hands in every binary frame and owns the outbox. Sound goes to the call at once; pictures are decoded
off the loop, one at a time, and the newest waiting one wins. What the call gives back leaves as PCM16 (192 ms)
and baseline JPEG.
"""

import asyncio
import contextlib
from collections.abc import Callable

import numpy as np

from mirage_rtc.chunk_leg import ChunkOut
from mirage_rtc.errors import BadInput, MirageError, TooLarge, Unavailable
from mirage_rtc.pictures import decode_picture, encode_jpeg
from models.engines import Frame, Samples
from signaling.calls import ChunkLine
from signaling.chunk_frame import (
    CHUNK_PICTURE,
    CHUNK_SAMPLES_MAX,
    CHUNK_SOUND,
    Chunk,
    pack_chunk,
    unpack_chunk,
)
from signaling.limits import Limits
from signaling.outbox import Outbox
from signaling.wire_metrics import WireMetrics

CLOCK_SLACK_S = 10.0
"""How far capture times may run ahead of or behind their arrival before they are taken for wrong."""

KIND_NAMES = {CHUNK_SOUND: "sound", CHUNK_PICTURE: "picture"}

Verdict = Callable[[MirageError | None], None]
"""Told of each incoming chunk: None when it was good."""


class ChunkOrder:
    """Sequence and capture time of one kind of chunk: both must go forward, time about as fast as the clock."""

    def __init__(self) -> None:
        """The first chunk sets the origin."""
        self._sequence = -1
        self._capture_us = 0
        self._arrival_s = 0.0

    def check(self, chunk: Chunk, arrival_s: float) -> None:
        """Accept a chunk that arrived at `arrival_s` (monotonic) or raise BadInput `chunk_bad`."""
        if chunk.sequence <= self._sequence:
            raise BadInput("chunk_bad", "This chunk is late or was sent twice; number chunks upwards, each kind alone.")
        moved_s = (chunk.capture_us - self._capture_us) / 1e6
        first = self._sequence < 0
        if not first and (moved_s < 0 or abs(moved_s - (arrival_s - self._arrival_s)) > CLOCK_SLACK_S):
            raise BadInput("chunk_bad", "The capture time jumped; send the time of capture in us, on one steady clock.")
        self._sequence, self._capture_us, self._arrival_s = chunk.sequence, chunk.capture_us, arrival_s


def read_pcm(payload: bytes) -> Samples:
    """PCM16 little-endian mono to float32 in [-1, 1]; raises BadInput `pcm_odd_length` or TooLarge `chunk_too_long`."""
    if len(payload) % 2:
        raise BadInput("pcm_odd_length", "A sound chunk is whole 16-bit samples; this one has an odd number of bytes.")
    if len(payload) // 2 > CHUNK_SAMPLES_MAX:
        raise TooLarge("chunk_too_long", f"A sound chunk holds at most {CHUNK_SAMPLES_MAX} samples; send shorter ones.")
    return np.frombuffer(payload, dtype="<i2").astype(np.float32) / np.float32(32_768)


def write_pcm(samples: Samples) -> bytes:
    """Float32 in [-1, 1] to PCM16 little-endian; what lies outside is clipped."""
    scaled = np.clip(np.nan_to_num(samples), -1.0, 1.0) * np.float32(32_767)
    return bytes(np.rint(scaled).astype("<i2").tobytes())


class ChunkSocket:
    """The chunk media of one socket, from `start` to `close`."""

    def __init__(
        self,
        *,
        line: ChunkLine,
        outbox: Outbox,
        limits: Limits,
        metrics: WireMetrics,
        monotonic_s: Callable[[], float],
        verdict: Verdict,
    ) -> None:
        """`verdict` is called on the loop, once for each chunk."""
        self._line = line
        self._outbox = outbox
        self._limits = limits
        self._metrics = metrics
        self._monotonic_s = monotonic_s
        self._verdict = verdict
        self._orders = {CHUNK_SOUND: ChunkOrder(), CHUNK_PICTURE: ChunkOrder()}
        self._sequences = {CHUNK_SOUND: 0, CHUNK_PICTURE: 0}
        self._waiting: Chunk | None = None
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to decode and to send."""
        self._tasks = [asyncio.create_task(self._decode_pictures()), asyncio.create_task(self._send_media())]

    async def close(self) -> None:
        """End both tasks and the call's media; idempotent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._line.close()

    def take(self, data: bytes) -> None:
        """Take one binary frame."""
        try:
            self._accept(data)
        except MirageError as error:
            self._judge(error)

    def _accept(self, data: bytes) -> None:
        chunk = unpack_chunk(data)
        if chunk.kind == CHUNK_PICTURE and len(chunk.payload) > self._limits.picture_bytes:
            raise TooLarge(
                "picture_too_large", f"A picture chunk holds at most {self._limits.picture_bytes} bytes; compress more."
            )
        samples = read_pcm(chunk.payload) if chunk.kind == CHUNK_SOUND else None
        self._orders[chunk.kind].check(chunk, self._monotonic_s())
        self._metrics.chunks.labels("in", KIND_NAMES[chunk.kind]).inc()
        if samples is None:
            self._queue_picture(chunk)
            return
        self._line.push_sound(samples, capture_us=chunk.capture_us)
        self._judge(None)

    def _queue_picture(self, chunk: Chunk) -> None:
        if self._waiting is not None:
            self._metrics.chunks_dropped.labels("in").inc()
            self._judge(None)
        self._waiting = chunk
        self._wake.set()

    async def _decode_pictures(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            chunk, self._waiting = self._waiting, None
            if chunk is not None:
                await self._decode(chunk)

    async def _decode(self, chunk: Chunk) -> None:
        try:
            frame = await asyncio.to_thread(self._read_picture, chunk.payload)
        except MirageError as error:
            self._judge(error)
            return
        self._line.push_picture(frame, capture_us=chunk.capture_us)
        self._judge(None)

    def _read_picture(self, payload: bytes) -> Frame:
        """Runs in a worker thread. The header is measured before a pixel is decoded."""
        if payload[:3] != b"\xff\xd8\xff":
            raise BadInput("chunk_bad", "A picture chunk is a JPEG, baseline or progressive; this is something else.")
        limits = self._limits
        return decode_picture(payload, max_bytes=limits.picture_bytes, max_pixels=limits.picture_px)

    def _judge(self, error: MirageError | None) -> None:
        if error is not None:
            self._metrics.chunks_invalid.labels(error.code).inc()
        self._verdict(error)

    async def _send_media(self) -> None:
        """Until the call ends the media: its `next` raises then."""
        with contextlib.suppress(Unavailable):
            while True:
                await self._send_next()

    async def _send_next(self) -> None:
        media = await self._line.next()
        if media.samples is not None:
            self._send(CHUNK_SOUND, write_pcm(media.samples), media)
        if media.frame is not None:
            await self._send_picture(media.frame, media)

    async def _send_picture(self, frame: Frame, media: ChunkOut) -> None:
        payload = await asyncio.to_thread(encode_jpeg, frame, self._limits.jpeg_quality)
        self._send(CHUNK_PICTURE, payload, media)

    def _send(self, kind: int, payload: bytes, media: ChunkOut) -> None:
        """Queue a piece. It may become stale while it waits: after a change of identity or out of passthrough."""
        self._sequences[kind] += 1
        self._metrics.chunks.labels("out", KIND_NAMES[kind]).inc()
        chunk = Chunk(kind, self._sequences[kind], max(0, media.capture_us), payload)
        line = self._line
        if self._outbox.put(media.kind, pack_chunk(chunk), is_stale=lambda: line.is_stale(media)):
            self._metrics.chunks_dropped.labels("out").inc()

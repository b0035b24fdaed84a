"""A tuned sender over a transport that records, a track that shows what a test says, and time that leaps."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any, cast

import numpy as np
from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket
from av import AudioFrame, VideoFrame

from mirage_rtc.aiortc_private.sender import EncoderSettings, TunedSender
from tests import virtual_time
from tests.rtp_wire import Wire
from tests.virtual_time import FakeClock

H264 = RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=97)
VP8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=99)
OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, channels=2, payloadType=96)
KEY_NAL_TYPES = (5, 7, 24)
"""An IDR slice, a parameter set, or a packet that holds several (RFC 6184 §5.2)."""
WALL_OFFSET_S = 1_000_000.0


class Scripted(MediaStreamTrack):
    """A track with a generation, as our own tracks have; it hands over what the test shows."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.generation = 0
        self.capture_s = 50.0
        self.stale = False
        self.frames: asyncio.Queue[VideoFrame | AudioFrame | None] = asyncio.Queue()
        self._pts = 0

    def show(self, *, size_px: int = 64, broken: bool = False) -> None:
        """One more picture, of noise, so that its size on the wire grows with its area."""
        self._pts += 4500
        noise = np.random.default_rng(self._pts).integers(0, 255, (size_px * 3 // 2, size_px), np.uint8)
        frame = VideoFrame.from_ndarray(noise, format="yuv420p")
        frame.pts, frame.time_base = None if broken else self._pts, Fraction(1, 90_000)
        self.frames.put_nowait(frame)

    def say(self, amplitude: int) -> None:
        """20 ms more of sound."""
        wave = np.sin(np.arange(960) * 2 * np.pi * 10 / 960) * amplitude
        frame = AudioFrame.from_ndarray(wave.astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._pts, Fraction(1, 48_000)
        self._pts += 960
        self.frames.put_nowait(frame)

    async def recv(self) -> VideoFrame | AudioFrame:
        """The next frame that was shown; None ends the track."""
        frame = await self.frames.get()
        if frame is None:
            raise MediaStreamError
        self.capture_s += 0.05
        return frame

    def is_stale(self) -> bool:
        """As the test says."""
        return self.stale


class Parts:
    """A tuned sender over a recording transport, and the track that feeds it."""

    def __init__(self, threads: ThreadPoolExecutor, kind: str = "video", kbps: int = 500, fmtp: Any = None) -> None:
        self.clock = FakeClock()
        self.track, self.wire = Scripted(kind), Wire()
        sender = RTCRtpSender(self.track, self.wire)  # type: ignore[arg-type]
        self.upstream = cast("Any", sender)
        self.upstream._RTCRtpSender__rtx_payload_type = 98
        self.tuned = TunedSender(
            sender,
            self.track,
            EncoderSettings(threads=threads, kbps_start=kbps, kbps_max=2 * kbps),
            wall_offset_s=WALL_OFFSET_S,
            on_feedback=lambda: None,
            clock=self.clock,
            fmtp=fmtp,
        )

    @property
    def packets(self) -> list[RtpPacket]:
        """What was sent, parsed."""
        return [RtpPacket.parse(data) for data in self.wire.sent]

    async def settle(self, frames: int) -> None:
        """Wait until so many whole frames were sent."""
        while sum(packet.marker for packet in self.packets) < frames:  # noqa: ASYNC110 - the transport sets no event
            await asyncio.sleep(0.001)


def in_virtual_time(script: Callable[[Parts], Awaitable[None]], **options: Any) -> Parts:
    """Run a script beside a running sender, where waiting takes no time."""
    made: list[Parts] = []

    async def run() -> None:
        with ThreadPoolExecutor(1) as threads:
            parts = Parts(threads, **options)
            made.append(parts)
            parts.clock = parts.tuned._clock = parts.tuned._pacer._clock = clock
            sending = asyncio.ensure_future(parts.upstream._run_rtp(VP8))
            await script(parts)
            sending.cancel()
            await asyncio.gather(sending)

    clock = FakeClock()
    virtual_time.run(run(), clock)
    return made[0]

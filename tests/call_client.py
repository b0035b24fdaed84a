"""A small aiortc caller for tests of sessions: sends flat pictures and a steady tone, records what comes back."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from mirage_rtc.session import Session
from tests.call_parts import picture


class FlatCamera(MediaStreamTrack):
    """Pictures of one grey, 25 a second."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.shade = 128
        self._sent = 0
        self._began_s = time.monotonic()

    async def recv(self) -> VideoFrame:
        """The next picture, at its time."""
        await asyncio.sleep(max(0.0, self._began_s + self._sent / 25 - time.monotonic()))
        frame = VideoFrame.from_ndarray(picture(self.shade), format="yuv420p")
        frame.pts, frame.time_base = self._sent * 3600, Fraction(1, 90_000)
        self._sent += 1
        return frame


class ToneMicrophone(MediaStreamTrack):
    """A 440 Hz tone in 20 ms frames."""

    kind = "audio"

    def __init__(self, peak: float = 0.4) -> None:
        super().__init__()
        self._peak = peak
        self._sent = 0
        self._began_s = time.monotonic()

    async def recv(self) -> AudioFrame:
        """The next frame, at its time."""
        await asyncio.sleep(max(0.0, self._began_s + self._sent * 0.02 - time.monotonic()))
        at = np.arange(self._sent * 960, (self._sent + 1) * 960)
        pcm = (self._peak * 32767 * np.sin(2 * np.pi * 440 * at / 48_000)).astype(np.int16)
        frame = AudioFrame.from_ndarray(np.repeat(pcm, 2).reshape(1, -1), format="s16", layout="stereo")
        frame.pts, frame.sample_rate, frame.time_base = self._sent * 960, 48_000, Fraction(1, 48_000)
        self._sent += 1
        return frame


class Caller:
    """One peer connection and what it received."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.camera = FlatCamera()
        self.shades: list[int] = []
        self.peaks: list[float] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.connection.on("track", self._take)

    @property
    def shade(self) -> int:
        """The latest picture's grey; -1 before the first."""
        return self.shades[-1] if self.shades else -1

    @property
    def peak(self) -> float:
        """The loudest of the last five frames of sound, 0..1; -1 before the first."""
        return max(self.peaks[-5:], default=-1.0)

    async def call(self, session: Session, *, camera: bool = True, microphone: bool = True) -> None:
        """Offer, and take the session's answer."""
        await self.offer(camera=camera, microphone=microphone)
        await self.accept(session)

    async def offer(self, *, camera: bool = True, microphone: bool = True) -> None:
        """Make an offer."""
        if camera:
            self.connection.addTrack(self.camera)
        if microphone:
            self.connection.addTrack(ToneMicrophone())
        await self.connection.setLocalDescription(await self.connection.createOffer())

    async def accept(self, session: Session) -> None:
        """Have it answered, and take the answer."""
        answer = await session.negotiate(self.connection.localDescription.sdp)
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))

    async def until(self, condition: Any, within_s: float = 90.0) -> None:
        """Wait until `condition()` holds."""
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - what is waited for sets no event
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Hang up."""
        await self.connection.close()
        for task in self._tasks:  # a track of a connection that never was does not end by itself
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(self._run(track)))

    async def _run(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            if track.kind == "video":
                self.shades.append(int(frame.to_ndarray()[30, 32]))
            else:
                self.peaks.append(float(np.abs(frame.to_ndarray()).max()) / 32768)


@asynccontextmanager
async def caller() -> AsyncIterator[Caller]:
    """A caller that hangs up at the end."""
    peer = Caller()
    try:
        yield peer
    finally:
        await peer.close()

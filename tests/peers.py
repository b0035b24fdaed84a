"""A light WebRTC peer: sends a clip and a voice, records all that comes back with its time.

`Peer` speaks to anything that answers an offer; `signalled_call` speaks to a running server over its socket, as the
page does. Used by `test_leaks` and `test_two_calls`, in whose process aiortc finds loopback addresses only
(`only_loopback`).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Generic, Protocol, TypeVar

import aiohttp
import aioice.ice
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs.h264 import H264Encoder
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from mirage_rtc.h264_encoder import RealtimeH264Encoder
from models.engines import Frame, Samples
from tests.media import Clip

RATE_HZ = 48_000
PACKET = 960
Answerer = Callable[[str], Awaitable[str]]
"""Takes an SDP offer, gives the answer."""


@contextlib.contextmanager
def only_loopback() -> Iterator[None]:
    """Within, ICE in this process gathers 127.0.0.1 and nothing else, and takes no slow machine for a lost consent.

    aioice gives each check half a second and ends a call after six (RFC 7675): both ends here share one busy loop.
    """
    found, failures = aioice.ice.get_host_addresses, aioice.ice.CONSENT_FAILURES

    def loopback(use_ipv4: bool = True, use_ipv6: bool = True) -> list[str]:
        return ["127.0.0.1"]

    aioice.ice.get_host_addresses, aioice.ice.CONSENT_FAILURES = loopback, 10_000
    try:
        yield
    finally:
        aioice.ice.get_host_addresses, aioice.ice.CONSENT_FAILURES = found, failures


@dataclass(frozen=True, slots=True)
class Seen:
    """A received picture, kept as it came (I420) and turned into BGR when it is looked at."""

    at_s: float
    picture: VideoFrame

    @property
    def frame(self) -> Frame:
        """BGR."""
        return np.asarray(self.picture.to_ndarray(format="bgr24"), np.uint8)


class ClipCamera(MediaStreamTrack):
    """A clip, looped, at `fps`. `show` changes the clip in the middle of the call."""

    kind = "video"

    def __init__(self, clip: Clip, fps: float) -> None:
        super().__init__()
        self._fps = fps
        self._sent = 0
        self._began_s = time.monotonic()
        self.show(clip)

    def show(self, clip: Clip) -> None:
        """Play another clip from its first frame on."""
        self._first = self._sent
        self._pictures = [
            VideoFrame.from_ndarray(frame, "bgr24").reformat(format="yuv420p").to_ndarray() for frame in clip.frames
        ]

    async def recv(self) -> VideoFrame:
        """The next frame, at its time; never two for the price of one stall."""
        due_s = self._began_s + self._sent / self._fps
        late_s = time.monotonic() - due_s
        if late_s > 0.1:
            self._began_s += late_s
        await asyncio.sleep(max(0.0, -late_s))
        frame = VideoFrame.from_ndarray(self._pictures[(self._sent - self._first) % len(self._pictures)], "yuv420p")
        frame.pts, frame.time_base = round((time.monotonic() - self._began_s) * 90_000), Fraction(1, 90_000)
        self._sent += 1
        return frame


class VoiceMicrophone(MediaStreamTrack):
    """Speech, looped, in 20 ms packets of its sample clock. `began_s` is when sample 0 left."""

    kind = "audio"

    def __init__(self, voice: Samples) -> None:
        super().__init__()
        whole = len(voice) // PACKET * PACKET
        self._pcm = (np.clip(voice[:whole], -1, 1) * 32767).astype(np.int16).reshape(-1, PACKET)
        self._sent = 0
        self.began_s = 0.0

    async def recv(self) -> AudioFrame:
        """The next packet, at its time."""
        self.began_s = self.began_s or time.monotonic()
        await asyncio.sleep(max(0.0, self.began_s + self._sent * PACKET / RATE_HZ - time.monotonic()))
        frame = AudioFrame.from_ndarray(self._pcm[self._sent % len(self._pcm)][None], "s16", "mono")
        frame.pts, frame.sample_rate, frame.time_base = self._sent * PACKET, RATE_HZ, Fraction(1, RATE_HZ)
        self._sent += 1
        return frame

    def sent(self) -> Samples:
        """All that was sent so far, from sample 0 on."""
        packets = self._pcm[np.arange(self._sent) % len(self._pcm)]
        return (packets.reshape(-1) / 32768).astype(np.float32)


class Peer:
    """One caller: its camera, its microphone, and what it saw and heard."""

    def __init__(self, clip: Clip, voice: Samples, *, fps: float = 20.0) -> None:
        self.camera = ClipCamera(clip, fps)
        self.microphone = VoiceMicrophone(voice)
        self.seen: list[Seen] = []
        self._heard: list[tuple[float, int, Samples]] = []
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._tasks: list[asyncio.Task[None]] = []
        self._connection.on("track", self._take)

    async def call(self, answerer: Answerer) -> None:
        """Offer, and take the answer."""
        for track in (self.camera, self.microphone):
            sender: Any = self._connection.addTrack(track)
            if track.kind == "video":  # aiortc's own H.264 settings cost this test machine half a core
                sender._RTCRtpSender__encoder = RealtimeH264Encoder(1500, 2500, _packetize)
        await self._connection.setLocalDescription(await self._connection.createOffer())
        answer = await answerer(self._connection.localDescription.sdp)
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))

    async def until_seen(self, count: int, within_s: float = 180.0) -> None:
        """Wait until `count` pictures came back altogether."""
        async with asyncio.timeout(within_s):
            while len(self.seen) < count:  # noqa: ASYNC110 - aiortc sets no event
                await asyncio.sleep(0.05)

    def heard(self) -> Samples:
        """The returned sound on the timeline of what was sent: sample 0 is when sample 0 left."""
        if not self._heard:
            return np.zeros(0, np.float32)
        first_s, first_pts, first = self._heard[0]
        start = max(0, round((first_s - self.microphone.began_s) * RATE_HZ) - len(first))
        sound = np.zeros(start + self._heard[-1][1] - first_pts + PACKET, np.float32)
        for _, pts, samples in self._heard:
            at = start + pts - first_pts
            sound[at : at + len(samples)] = samples[: max(0, len(sound) - at)]
        return sound

    async def close(self) -> None:
        """Hang up."""
        await self._connection.close()
        await asyncio.gather(*self._tasks)

    def _take(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(self._record(track)))

    async def _record(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            at_s = time.monotonic()
            if isinstance(frame, VideoFrame):
                self.seen.append(Seen(at_s, frame))
            elif isinstance(frame, AudioFrame) and frame.pts is not None:
                pcm = frame.to_ndarray().reshape(-1, len(frame.layout.channels)).mean(axis=1)
                self._heard.append((at_s, frame.pts, (pcm / 32768).astype(np.float32)))


def _packetize(stream: bytes) -> list[bytes]:
    return H264Encoder._packetize(H264Encoder._split_bitstream(stream))


class Caller(Protocol):
    """What can place a call and hang up."""

    async def call(self, answerer: Answerer) -> None:
        """Offer, and take the answer."""

    async def close(self) -> None:
        """Hang up."""


AnyCaller = TypeVar("AnyCaller", bound=Caller)


class SignalledCall(Generic[AnyCaller]):
    """A peer joined to a running server through its signalling socket."""

    def __init__(self, peer: AnyCaller, socket: "aiohttp.ClientWebSocketResponse[bool]") -> None:
        self.peer = peer
        self.welcome: dict[str, Any] = {}
        self._socket = socket
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def read(self) -> None:
        """Take what the server says until it ends: who reads nothing answers no ping, and is cut off."""
        async for message in self._socket:
            self._told.put_nowait(message.json())
        self._told.put_nowait({"type": "closing", "code": "connection_lost"})

    async def send(self, **message: Any) -> None:
        """One control message."""
        await self._socket.send_json(message)

    async def until(self, kind: str) -> dict[str, Any]:
        """The next message of a kind; an error is raised."""
        async with asyncio.timeout(120):
            while True:
                body = await self._told.get()
                if body["type"] == kind:
                    return body
                if body["type"] in ("error", "closing"):
                    raise AssertionError(body)

    async def answer(self, offer_sdp: str) -> str:
        """Have an offer answered."""
        await self.send(type="offer", sdp=offer_sdp)
        return str((await self.until("answer"))["sdp"])


@contextlib.asynccontextmanager
async def signalled_call(
    server: str, link_token: str, peer: AnyCaller, *wishes: dict[str, Any], source_ip: str = "127.0.0.1"
) -> AsyncIterator[SignalledCall[AnyCaller]]:
    """Spend the link, greet from `source_ip`, say what is wished, place the call; hang up at the end."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(source_ip, 0))) as http:
        async with http.post(f"{server}/v1/sessions", headers={"Authorization": f"Bearer {link_token}"}) as response:
            assert response.status == 201, await response.text()
            token = (await response.json())["resume_token"]
        protocols = ("mirage.v1", f"bearer.{token}")
        async with http.ws_connect(f"{server}/v1/signal", protocols=protocols) as socket:
            call = SignalledCall(peer, socket)
            reading = asyncio.create_task(call.read())
            try:
                await call.send(type="hello", version=1)
                call.welcome = await call.until("welcome")
                for wish in wishes:
                    await call.send(**wish)
                await peer.call(call.answer)
                yield call
            finally:
                await peer.close()
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

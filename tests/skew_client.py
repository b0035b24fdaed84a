"""A caller that measures lip-sync through a real server: when come a picture and the voice of its moment back?

Its clock may be off: pictures, samples, time stamps and sender reports then all follow it, as in a machine with a bad
quartz. Its senders and receivers are the product's own. Used by `test_skew` and `bench/skew_bench.py`.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from mirage_rtc.aiortc_private.addresses import without_receiver_estimate
from mirage_rtc.aiortc_private.receiver import TunedReceiver
from mirage_rtc.aiortc_private.sender import EncoderSettings, TunedSender
from models.engines import Samples
from tests.peers import Answerer
from tests.skew_media import (
    BURST_S,
    RATE_HZ,
    SEARCH_S,
    Bursts,
    bursts,
    face_pictures,
    lateness_s,
    loudness,
    read_number,
    write_number,
)
from tests.stamped_media import luma_of

PACKET = 960
FPS = 20.0
MARGIN_S = 0.1
"""Silence before and after a burst that belongs to its shape."""


class OwnClock:
    """Monotonic seconds of a machine whose quartz is off; starts level with ours."""

    def __init__(self, ppm: float) -> None:
        self._began_s = time.monotonic()
        self._rate = 1.0 + ppm * 1e-6

    def __call__(self) -> float:
        return self._began_s + (time.monotonic() - self._began_s) * self._rate

    def ours_s(self, own_s: float) -> float:
        """What a time of this clock is on ours."""
        return self._began_s + (own_s - self._began_s) / self._rate

    async def until(self, own_s: float) -> None:
        """Sleep until a time of this clock."""
        await asyncio.sleep(max(0.0, self.ours_s(own_s) - time.monotonic()))


class NumberedCamera(MediaStreamTrack):
    """A talking head, 20 pictures a second of the client's clock; `captured_s` of each number, on our clock."""

    kind = "video"
    generation = 0

    def __init__(self, clock: OwnClock, late_s: float) -> None:
        super().__init__()
        self.capture_s = clock()
        self.captured_s: list[float] = []
        self._pictures = face_pictures()
        self._clock = clock
        self._late_s = late_s
        self._began_s: float | None = None

    async def recv(self) -> VideoFrame:
        """The next picture, at its time."""
        if self._began_s is None:
            await asyncio.sleep(self._late_s)
            self._began_s = self._clock()
        number = len(self.captured_s)
        await self._clock.until(self._began_s + number / FPS)
        self.capture_s = self._clock()
        picture = self._pictures[number % len(self._pictures)].copy()
        write_number(picture, number)
        frame = VideoFrame.from_ndarray(picture, "yuv420p")
        frame.pts, frame.time_base = round((self.capture_s - self._began_s) * 90_000), Fraction(1, 90_000)
        self.captured_s.append(self._clock.ours_s(self.capture_s))
        return frame

    def is_stale(self) -> bool:
        """Never: what was seen may be sent."""
        return False


class BurstMicrophone(MediaStreamTrack):
    """Bursts of a voice, 48000 samples a second of the client's clock; sample 0 is captured at `began_s` of it.

    `capture_s` is what its sender reports say, and as libwebrtc and aiortc do it that is when the packet was sent:
    after its last sample was captured (see `tracks.pump_audio`).
    """

    kind = "audio"
    generation = 0

    def __init__(self, clock: OwnClock, said: Bursts) -> None:
        super().__init__()
        self.capture_s = self.began_s = clock()
        self.said = said
        self._clock = clock
        self._sent = 0

    async def recv(self) -> AudioFrame:
        """The next packet, when its last sample is captured."""
        if self._sent == 0:
            self.began_s = self._clock()
        at = self._sent * PACKET
        self.capture_s = self.began_s + (at + PACKET) / RATE_HZ
        await self._clock.until(self.capture_s)
        sound = np.take(self.said.sound, np.arange(at, at + PACKET), mode="wrap")
        pcm = np.repeat((sound * 32767).astype(np.int16), 2).reshape(1, -1)
        frame = AudioFrame.from_ndarray(pcm, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, at, Fraction(1, RATE_HZ)
        self._sent += 1
        return frame

    def is_stale(self) -> bool:
        """Never: what was said may be sent."""
        return False

    def bursts(self) -> list[tuple[int, float]]:
        """Where each burst begins in `said`, and when that sample was captured, on our clock."""
        length, count = len(self.said.sound), self._sent * PACKET
        turns = range(-(-count // length))
        starts = [(start, turn * length + start) for turn in turns for start in self.said.starts]
        return [(start, self._clock.ours_s(self.began_s + at / RATE_HZ)) for start, at in starts if at < count]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skew:
    """By how much the picture comes later than the voice of its moment, in ms, for each burst that came back."""

    by_arrival_ms: list[float]
    by_reports_ms: list[float]
    """By the server's sender reports, which is what a browser plays by."""
    video_ms: list[float]
    audio_ms: list[float]


@dataclass(frozen=True, slots=True)
class _Picture:
    at_s: float
    captured_s: float
    said_s: float | None


@dataclass(frozen=True, slots=True)
class _Sound:
    at_s: float
    pts: int
    samples: Samples
    said_s: float | None


class SkewClient:
    """One call. `ppm` is by how much the client's clock is fast, `video_late_s` how much later its camera starts."""

    def __init__(self, *, ppm: float = 0.0, video_late_s: float = 0.0) -> None:
        self._clock = OwnClock(ppm)
        self._wall_offset_s = time.time() - time.monotonic()
        self.camera = NumberedCamera(self._clock, video_late_s)
        self.microphone = BurstMicrophone(self._clock, bursts())
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="skew")
        self._tasks: list[asyncio.Task[None]] = []
        self._receivers: dict[str, TunedReceiver] = {}
        self._pictures: list[_Picture] = []
        self._sounds: list[_Sound] = []
        self._connection.on("track", self._take)
        self._tune(self.microphone)
        self._tune(self.camera)

    async def call(self, answerer: Answerer) -> None:
        """Offer, and take the answer."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        offer = without_receiver_estimate(self._connection.localDescription.sdp)
        answer = await answerer(offer)
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))

    async def until_returned(self, within_s: float = 120.0) -> None:
        """Wait until pictures and sound come back."""
        async with asyncio.timeout(within_s):
            while not (self._pictures and self._sounds):  # noqa: ASYNC110 - aiortc sets no event
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Hang up. Idempotent."""
        await self._connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False)

    def skew(self, from_s: float) -> Skew:
        """What came back of the bursts said from a time of the monotonic clock on."""
        found = Skew(by_arrival_ms=[], by_reports_ms=[], video_ms=[], audio_ms=[])
        for start, captured_s in self.microphone.bursts():
            if captured_s >= from_s:
                self._measure(found, start, captured_s)
        return found

    def _measure(self, found: Skew, start: int, captured_s: float) -> None:
        """Add one burst, if it and pictures of its second came back."""
        beside = [picture for picture in self._pictures if abs(picture.captured_s - captured_s) < 0.5]
        came_s, said_s = self._heard_s(start, captured_s, told=False), self._heard_s(start, captured_s, told=True)
        if came_s is None or len(beside) < 3:
            return
        video_ms = 1000 * float(np.median([picture.at_s - picture.captured_s for picture in beside]))
        found.video_ms.append(video_ms)
        found.audio_ms.append(1000 * came_s)
        found.by_arrival_ms.append(video_ms - 1000 * came_s)
        told = [picture.said_s - picture.captured_s for picture in beside if picture.said_s is not None]
        if said_s is not None and told:  # what is said to be of a later moment is shown later
            found.by_reports_ms.append(1000 * (float(np.median(told)) - said_s))

    def _heard_s(self, start: int, captured_s: float, *, told: bool) -> float | None:
        """How much later a burst was there, or (`told`) is said to be of, than it was captured."""
        first_s, count = captured_s - MARGIN_S, round((BURST_S + 2 * MARGIN_S) * RATE_HZ)
        margin = round(MARGIN_S * RATE_HZ)
        sent = np.take(self.microphone.said.sound, np.arange(start - margin, start - margin + count), mode="wrap")
        heard = self._timeline(first_s - (SEARCH_S / 2 if told else 0.0), count + round(SEARCH_S * RATE_HZ), told=told)
        if heard is None:
            return None
        late_s = lateness_s(loudness(sent), loudness(heard))
        return None if late_s is None else late_s - (SEARCH_S / 2 if told else 0.0)

    def _timeline(self, first_s: float, count: int, *, told: bool) -> Samples | None:
        """`count` samples of what came back from a time on, placed by arrival or by what the reports say of them."""
        placed: list[tuple[float, _Sound]] = []
        for sound in self._sounds:
            at_s = sound.said_s if told else sound.at_s
            if at_s is not None and first_s - 0.1 <= at_s <= first_s + count / RATE_HZ:
                placed.append((at_s, sound))
        if not placed:
            return None
        offset_s = float(np.median([at_s - sound.pts / RATE_HZ for at_s, sound in placed]))
        line = np.zeros(count, np.float32)
        for _, sound in placed:
            at = round((sound.pts / RATE_HZ + offset_s - first_s) * RATE_HZ)
            low, high = max(0, at), min(count, at + len(sound.samples))
            if low < high:
                line[low:high] = sound.samples[low - at : high - at]
        return line

    def _tune(self, track: NumberedCamera | BurstMicrophone) -> None:
        transceiver = self._connection.addTransceiver(track, direction="sendrecv")
        receiver = TunedReceiver(transceiver.receiver, clock=time.monotonic, on_packet=_nothing)
        self._receivers[track.kind] = receiver
        settings = EncoderSettings(threads=self._threads, kbps_start=800, kbps_max=800)
        TunedSender(
            transceiver.sender,
            track,
            settings,
            wall_offset_s=self._wall_offset_s,
            on_feedback=_nothing,
            clock=self._clock,
        )
        self._tasks.append(asyncio.get_running_loop().create_task(receiver.run()))

    def _take(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(self._record(track)))

    async def _record(self, track: MediaStreamTrack) -> None:
        receiver = self._receivers[track.kind]
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            at_s = time.monotonic()
            rate_hz = RATE_HZ if track.kind == "audio" else 90_000
            said_s = receiver.sender_s(frame.pts, rate_hz)
            if track.kind == "audio":
                pcm = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                self._sounds.append(_Sound(at_s, frame.pts, (pcm / 32768).astype(np.float32), self._local(said_s)))
            elif (captured_s := self._captured_s(read_number(luma_of(frame)))) is not None:
                self._pictures.append(_Picture(at_s, captured_s, self._local(said_s)))

    def _local(self, said_s: float | None) -> float | None:
        """A time of the server's reports, whose wall clock is this machine's, on our monotonic clock."""
        return None if said_s is None else said_s - 2_208_988_800 - self._wall_offset_s

    def _captured_s(self, number: int | None) -> float | None:
        """When the newest picture of that number was captured."""
        captured_s, sent = self.camera.captured_s, len(self.camera.captured_s)
        if number is None or sent == 0:
            return None
        newest = sent - 1 - (sent - 1 - number) % 256
        return captured_s[newest] if newest >= 0 else None


def _nothing() -> None:
    pass

"""A caller that measures: bar-coded pictures and chirps go out, their age is taken when they come back.

It answers to any server that answers an SDP offer. Its receivers and senders are the product's own (`aiortc_private`),
so that the delay it sees is the server's, and the same for every server. Latency is from the hand-over of a frame to
the sender, to the arrival of the decoded frame: a picture's own, or the 20 ms frame that holds a chirp's last sample.
"""

import asyncio
import time
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from mirage_rtc.aiortc_private.addresses import without_receiver_estimate
from mirage_rtc.aiortc_private.receiver import TunedReceiver
from mirage_rtc.aiortc_private.sender import EncoderSettings, TunedSender
from mirage_rtc.badge import I420
from models.engines import Samples
from tests.peers import Answerer
from tests.stamped_media import CHIRP_SAMPLES, HeardChirp, age_ms, find_chirps, luma_of, panning, read_code
from tests.stamped_tracks import ChirpMicrophone, SentChirp, StampedCamera, micros

TICK_S = 0.01
VALID_TICK_MS = 5.0
"""A run counts when a 10 ms ticker in the client was late by no more than this at its 95th percentile."""

Codec = Literal["vp8", "h264"]
Timed = list[tuple[float, float]]
"""(when, in seconds of the monotonic clock; how much, in ms)."""


@dataclass(slots=True, kw_only=True)
class Figures:
    """What a stretch of a call was like. Lists are in the order of arrival."""

    video_ms: Timed = field(default_factory=list)
    audio_ms: Timed = field(default_factory=list)
    skew_ms: Timed = field(default_factory=list)
    """How much later a picture comes than the sound handed over with it."""
    ticker_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    fps: float = 0.0
    """New stamped pictures a second; repeated and covered ones do not count."""
    longest_gap_ms: float = 0.0
    """Between two new stamped pictures."""
    chirps_lost: int = 0
    kbps_in: float = 0.0

    @property
    def ticker_p95_ms(self) -> float:
        """How late a 10 ms ticker in the client was."""
        return percentile(self.ticker_ms, 95)

    @property
    def valid(self) -> bool:
        """Whether the machine had time for this client."""
        return self.ticker_p95_ms <= VALID_TICK_MS


class StampedClient:
    """One call and all that came back of it. `data_channel` opens one, which some servers wait for."""

    def __init__(
        self,
        *,
        pictures: tuple[I420, ...] = (),
        fps: float = 20.0,
        codec: Codec = "vp8",
        kbps: int = 500,
        data_channel: bool = False,
    ) -> None:
        self.camera = StampedCamera(pictures or panning(), fps)
        self.microphone = ChirpMicrophone()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.receivers: dict[str, TunedReceiver] = {}
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="stamped")
        self._encoding = EncoderSettings(threads=self._threads, kbps_start=kbps, kbps_max=kbps)
        self._tasks: list[asyncio.Task[None]] = []
        self._pictures: list[tuple[float, int]] = []
        self._sounds: list[tuple[float, Samples]] = []
        self._ticks: Timed = []
        self._bytes: list[tuple[float, int]] = []
        self.connection.on("track", self._take)
        if data_channel:
            self.connection.createDataChannel("text")
        self._tune(self.camera, codec)
        self._tune(self.microphone, "opus")

    async def call(self, answerer: Answerer) -> None:
        """Offer, and take the answer."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        offer = without_receiver_estimate(self.connection.localDescription.sdp)  # nobody is to throttle the server
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp=await answerer(offer), type="answer"))
        self._start(self._tick())
        self._start(self._count_bytes())

    async def until_returned(self, within_s: float = 120.0) -> None:
        """Wait until stamped pictures and sound come back."""
        async with asyncio.timeout(within_s):
            while not (self._pictures and self._sounds):  # noqa: ASYNC110 - aiortc sets no event
                await asyncio.sleep(0.05)

    def figures(self, from_s: float, to_s: float) -> Figures:
        """What came back between two times of the monotonic clock. Searches the sound: call it after the call."""
        pictures = [(at_s, age_ms(code, micros(at_s))) for at_s, code in self._fresh() if from_s <= at_s <= to_s]
        sounds, lost = self._chirp_ages(from_s, to_s)
        gaps = np.diff([at_s for at_s, _ in pictures]) if len(pictures) > 1 else np.array([to_s - from_s])
        received = [total for at_s, total in self._bytes if from_s <= at_s <= to_s] or [0]
        return Figures(
            video_ms=pictures,
            audio_ms=sounds,
            skew_ms=_skew(pictures, sounds),
            ticker_ms=[late_ms for at_s, late_ms in self._ticks if from_s <= at_s <= to_s],
            seconds=to_s - from_s,
            fps=len(pictures) / (to_s - from_s),
            longest_gap_ms=float(gaps.max()) * 1000.0,
            chirps_lost=lost,
            kbps_in=(received[-1] - received[0]) * 8 / 1000 / (to_s - from_s),
        )

    async def close(self) -> None:
        """Hang up. Idempotent."""
        await self.connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False)

    def _tune(self, track: StampedCamera | ChirpMicrophone, codec: str) -> None:
        transceiver = self.connection.addTransceiver(track, direction="sendrecv")
        wanted = (f"{track.kind}/{codec}", "video/rtx")
        codecs = RTCRtpSender.getCapabilities(track.kind).codecs
        transceiver.setCodecPreferences([known for known in codecs if known.mimeType.lower() in wanted])
        receiver = TunedReceiver(transceiver.receiver, clock=time.monotonic, on_packet=_nothing)
        wall_offset_s = time.time() - time.monotonic()
        TunedSender(transceiver.sender, track, self._encoding, wall_offset_s=wall_offset_s, on_feedback=_nothing)
        self.receivers[track.kind] = receiver
        self._start(receiver.run())

    def _start(self, work: Any) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    def _take(self, track: MediaStreamTrack) -> None:
        self._start(self._record(track))

    async def _record(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            now_s = time.monotonic()
            if isinstance(frame, VideoFrame):
                code = read_code(luma_of(frame))
                if code is not None:
                    self._pictures.append((now_s, code))
            elif isinstance(frame, AudioFrame):
                sound = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                self._sounds.append((now_s, (sound / 32768).astype(np.float32)))

    async def _tick(self) -> None:
        due_s = time.monotonic()
        while True:
            due_s = max(due_s + TICK_S, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())
            self._ticks.append((due_s, (time.monotonic() - due_s) * 1000.0))

    async def _count_bytes(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            reports = (await self.connection.getStats()).values()
            total = sum(report.bytesReceived for report in reports if report.type == "transport")
            self._bytes.append((time.monotonic(), total))

    def _fresh(self) -> list[tuple[float, int]]:
        """The first arrival of each stamped picture."""
        first: dict[int, float] = {}
        for at_s, code in self._pictures:
            first.setdefault(code, at_s)
        return [(at_s, code) for code, at_s in first.items()]

    def _chirp_ages(self, from_s: float, to_s: float) -> tuple[Timed, int]:
        """The age of each chirp that came, and how many of those sent did not."""
        if not self._sounds:
            return [], len(self.microphone.sent)
        ends = np.cumsum([len(sound) for _, sound in self._sounds])
        ages: Timed = []
        due = [sent for sent in self.microphone.sent if sent.at_s <= to_s]
        for heard in find_chirps(np.concatenate([sound for _, sound in self._sounds])):
            last = int(np.searchsorted(ends, heard.start + CHIRP_SAMPLES - 1, side="right"))
            at_s = self._sounds[min(last, len(self._sounds) - 1)][0]
            sent = _latest(due, heard, at_s)
            if sent is not None:
                due = due[due.index(sent) + 1 :]
                ages.append((at_s, (at_s - sent.at_s) * 1000.0))
        expected = sum(from_s <= sent.at_s <= to_s - 1.0 for sent in self.microphone.sent)
        counted = [(at_s, late_ms) for at_s, late_ms in ages if from_s <= at_s <= to_s]
        return counted, max(0, expected - len(counted))


def percentile(values: list[float], share: float) -> float:
    """`share` in percent; not a number when there is nothing."""
    return float(np.percentile(values, share)) if values else float("nan")


def amounts(timed: Timed) -> list[float]:
    """The ms alone."""
    return [amount for _, amount in timed]


def _latest(sent: list[SentChirp], heard: HeardChirp, at_s: float) -> SentChirp | None:
    """The last chirp of this kind that was sent before, and not heard yet."""
    return next((one for one in reversed(sent) if one.kind == heard.kind and one.at_s <= at_s), None)


def _skew(pictures: Timed, sounds: Timed) -> Timed:
    """For each chirp, the age of the picture handed over last before it, less its own."""
    handed_over = [at_s - late_ms / 1000.0 for at_s, late_ms in pictures]
    skew: Timed = []
    for at_s, late_ms in sounds:
        beside = bisect_right(handed_over, at_s - late_ms / 1000.0) - 1
        if beside >= 0:
            skew.append((at_s, pictures[beside][1] - late_ms))
    return skew


def _nothing() -> None:
    pass

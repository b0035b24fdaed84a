"""The two ends of a WebRTC call: pumps that empty the browser's tracks, and the tracks that answer them.

A pump always drains its remote track, so that aiortc's unbounded queue stays empty. `recv` of the outgoing tracks is
total: it raises MediaStreamError and nothing else, because any other exception ends an aiortc sender for good.
"""

import logging
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from mirage_rtc.audio_path import AudioPath
from mirage_rtc.badge import I420
from mirage_rtc.clock import CaptureClock, Clock, TrackStart, Transit
from mirage_rtc.gate import SafePicture, SafeSound
from mirage_rtc.lip_sync import OPUS_LOOKAHEAD_S
from mirage_rtc.video_path import VideoPath
from models.engines import Samples

logger = logging.getLogger(__name__)

VIDEO_RATE_HZ = 90_000
AUDIO_RATE_HZ = 48_000
AUDIO_FRAME_SAMPLES = 960
"""aiortc stamps all packets of one frame alike, so a frame must be one packet: 20 ms."""
MAX_SHORT_SIDE_PX = 512
MAX_SIDE_PX = 1920


def usable(width_px: int, height_px: int) -> bool:
    """Whether a decoded picture is of a size that a camera has; a decoder follows whatever the stream says."""
    return min(width_px, height_px) >= 16 and max(width_px, height_px) <= MAX_SIDE_PX


def working_size(width_px: int, height_px: int) -> tuple[int, int]:
    """The size a picture is processed at: short side at most 512, shape kept, sides multiples of 4."""
    scale = min(1.0, MAX_SHORT_SIDE_PX / min(width_px, height_px))
    return max(64, round(width_px * scale / 4) * 4), max(64, round(height_px * scale / 4) * 4)


def is_ready(frame: VideoFrame) -> bool:
    """Whether a decoded picture has its working size and format already, so that taking it is one copy."""
    return frame.format.name == "yuv420p" and (frame.width, frame.height) == working_size(frame.width, frame.height)


def to_i420(frame: VideoFrame) -> I420:
    """A decoded picture as contiguous I420 at its working size."""
    if not is_ready(frame):
        width_px, height_px = working_size(frame.width, frame.height)
        frame = frame.reformat(width=width_px, height=height_px, format="yuv420p")
    return np.ascontiguousarray(frame.to_ndarray(), dtype=np.uint8)


def to_mono(frame: AudioFrame) -> Samples:
    """A decoded s16 frame as mono float32 in [-1, 1]."""
    channels = len(frame.layout.channels)
    interleaved = np.frombuffer(memoryview(frame.planes[0]), np.int16)[: frame.samples * channels]
    if channels == 1:
        return interleaved.astype(np.float32) / np.float32(32768.0)
    summed = interleaved.reshape(-1, channels) @ np.ones(channels, np.float32)  # fifty times a second: no mean()
    return np.asarray(summed / np.float32(32768.0 * channels), np.float32)


Reported = Callable[[int, int], float | None]
"""When the peer captured what has this pts (at this rate), by its own reports; None before the first one."""


async def pump_video(
    remote: MediaStreamTrack, path: VideoPath, *, clock: Clock, client: Transit, reported: Reported
) -> None:
    """Move every picture of `remote` into `path` until it ends."""
    capture = CaptureClock(client)
    while True:
        try:
            frame = await remote.recv()
        except MediaStreamError:
            return
        if not isinstance(frame, VideoFrame) or frame.pts is None or not usable(frame.width, frame.height):
            continue
        reported_s = reported(frame.pts, VIDEO_RATE_HZ)
        capture_s = capture.capture_s(frame.pts / VIDEO_RATE_HZ, clock(), reported_s)
        size_px = working_size(frame.width, frame.height)
        path.push(partial(to_i420, frame), size_px=size_px, capture_s=capture_s, is_cheap=is_ready(frame))


async def pump_audio(
    remote: MediaStreamTrack, path: AudioPath, *, clock: Clock, client: Transit, reported: Reported
) -> None:
    """Move every sample of `remote` into `path` until it ends.

    A microphone's sender reports pair the RTP timestamp of a packet's first sample with the time it was sent: libwebrtc
    gives voice no capture time (`RTCPSender::SetLastRtpTime`, rtcp_sender.cc), aiortc never has one. So the length of a
    packet is taken off, as it is off arrival times; a camera's reports name the capture.
    """
    capture, start = CaptureClock(client), TrackStart()
    while True:
        try:
            frame = await remote.recv()
        except MediaStreamError:
            return
        if not isinstance(frame, AudioFrame) or frame.pts is None or frame.sample_rate != AUDIO_RATE_HZ:
            continue
        samples = to_mono(frame)
        packet_s = len(samples) / AUDIO_RATE_HZ
        if not start.has_begun(clock(), packet_s):
            continue
        arrival_s, sent_s = clock() - packet_s, reported(frame.pts, AUDIO_RATE_HZ)
        reported_s = None if sent_s is None else sent_s - packet_s  # it left when its last sample was there
        capture_s = capture.capture_s(frame.pts / AUDIO_RATE_HZ, arrival_s, reported_s)
        path.push(samples, capture_s=capture_s - OPUS_LOOKAHEAD_S, position=frame.pts)


class SwappedVideoTrack(MediaStreamTrack):
    """What the person looks like to others. Sends SafePictures only."""

    kind = "video"

    def __init__(self, path: VideoPath, clock: Clock, on_sent: Callable[[SafePicture], None]) -> None:
        super().__init__()
        self.generation = 0
        self.capture_s = clock()
        self._path = path
        self._on_sent = on_sent
        self._epoch_s = self.capture_s
        self._pts = -1

    async def recv(self) -> VideoFrame:
        """The next safe picture, its pts strictly growing at 90 kHz."""
        if self.readyState != "live":
            raise MediaStreamError
        safe = await self._path.next()
        self.generation, self.capture_s = safe.generation, safe.capture_s
        frame = VideoFrame.from_numpy_buffer(safe.i420, format="yuv420p")  # no copy: nobody writes to it any more
        self._pts = max(self._pts + 1, round((safe.capture_s - self._epoch_s) * VIDEO_RATE_HZ))
        frame.pts, frame.time_base = self._pts, Fraction(1, VIDEO_RATE_HZ)
        self._on_sent(safe)
        return frame

    def is_stale(self) -> bool:
        """Whether the picture last handed to the encoder may no longer be sent."""
        return self.generation != self._path.gate.generation


class ConvertedAudioTrack(MediaStreamTrack):
    """What the person sounds like to others. Sends SafeSounds only: 960 samples at 48 kHz, contiguous."""

    kind = "audio"

    def __init__(self, path: AudioPath, on_sent: Callable[[SafeSound], None]) -> None:
        super().__init__()
        self.generation = 0
        self.capture_s = 0.0
        self._path = path
        self._on_sent = on_sent
        self._pts = 0

    async def recv(self) -> AudioFrame:
        """The next safe 20 ms, in mono: one voice (`opus_encoder`)."""
        if self.readyState != "live":
            raise MediaStreamError
        safe = await self._path.next()
        self.generation, self.capture_s = safe.generation, safe.capture_s - OPUS_LOOKAHEAD_S
        pcm = np.clip(safe.samples * 32767.0, -32768.0, 32767.0).astype(np.int16)
        frame = AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE_HZ, self._pts, Fraction(1, AUDIO_RATE_HZ)
        self._pts += AUDIO_FRAME_SAMPLES
        self._on_sent(safe)
        return frame

    def is_stale(self) -> bool:
        """Whether the frame last handed over is of the past. (The sender drops the encoder that holds one's end.)"""
        return self.generation != self._path.gate.generation

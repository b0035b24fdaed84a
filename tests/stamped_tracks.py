"""A measuring caller's camera and microphone: bar-coded pictures and chirps, each with its time of sending.

Made by `stamped_client`, sent by the product's own tuned senders, whose `Source` they are.
"""

import asyncio
import time
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack
from av import AudioFrame, VideoFrame

from mirage_rtc.badge import I420
from tests.stamped_media import CHIRPS_HZ, RATE_HZ, chirp, write_code

FRAME_SAMPLES = 960
FRAME_S = FRAME_SAMPLES / RATE_HZ
CHIRP_EVERY_FRAMES = 12
"""240 ms: with four kinds in turn a chirp is its own for 960 ms."""
HISS = 0.002
STALL_S = 0.1


class StampedCamera(MediaStreamTrack):
    """Pictures of a loop at `fps`, each stamped when it is handed over."""

    kind = "video"
    generation = 0

    def __init__(self, pictures: tuple[I420, ...], fps: float) -> None:
        super().__init__()
        self.capture_s = time.monotonic()
        self._pictures = [picture.copy() for picture in pictures]
        self._fps = fps
        self._sent = 0
        self._due_s = 0.0

    async def recv(self) -> VideoFrame:
        """The next picture, at its time; never two for the price of one stall."""
        self._due_s = await _until(self._due_s)
        picture = self._pictures[self._sent % len(self._pictures)]
        self.capture_s = time.monotonic()
        write_code(picture, micros(self.capture_s))
        frame = VideoFrame.from_ndarray(picture, "yuv420p")
        frame.pts, frame.time_base = round(self._due_s * 90_000), Fraction(1, 90_000)
        self._sent += 1
        self._due_s += 1 / self._fps
        return frame

    def is_stale(self) -> bool:
        """Never: what was seen may be sent."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class SentChirp:
    """A chirp of a kind, its frame handed over at `at_s`."""

    kind: int
    at_s: float


class ChirpMicrophone(MediaStreamTrack):
    """A hiss with a chirp in every twelfth 20 ms frame."""

    kind = "audio"
    generation = 0

    def __init__(self) -> None:
        super().__init__()
        self.capture_s = time.monotonic()
        self.sent: list[SentChirp] = []
        self._hiss = np.random.default_rng(3).normal(0, HISS, FRAME_SAMPLES).astype(np.float32)
        self._frames = 0
        self._due_s = 0.0

    async def recv(self) -> AudioFrame:
        """The next frame, when its last sample would have been captured."""
        self._due_s = await _until(self._due_s)
        turn, phase = divmod(self._frames, CHIRP_EVERY_FRAMES)
        sound = self._hiss
        now_s = time.monotonic()
        if phase == CHIRP_EVERY_FRAMES // 2:
            sound = chirp(turn % len(CHIRPS_HZ))
            self.sent.append(SentChirp(kind=turn % len(CHIRPS_HZ), at_s=now_s))
        pcm = np.repeat((sound * 32767).astype(np.int16), 2).reshape(1, -1)
        frame = AudioFrame.from_ndarray(pcm, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, self._frames * FRAME_SAMPLES, Fraction(1, RATE_HZ)
        self.capture_s = now_s - FRAME_S
        self._frames += 1
        self._due_s += FRAME_S
        return frame

    def is_stale(self) -> bool:
        """Never: what was said may be sent."""
        return False


def micros(at_s: float) -> int:
    """Seconds as a whole number of microseconds, which is what a code holds."""
    return int(at_s * 1_000_000)


async def _until(due_s: float) -> float:
    """Sleep until `due_s`; the time that was due, or now when it passed long ago."""
    now_s = time.monotonic()
    if due_s < now_s - STALL_S:
        return now_s
    await asyncio.sleep(max(0.0, due_s - now_s))
    return due_s

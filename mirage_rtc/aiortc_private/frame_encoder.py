"""The encoder of one sender: ours for H.264, VP8 and Opus, upstream's for the rest, and where it runs.

Upstream encodes in the loop's default executor, with x264's preset for films, and makes a new encoder (a key frame) for
each new bitrate. Used by `sender`.
"""

import asyncio
import logging
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiortc.codecs import get_encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from av import AudioFrame

from mirage_rtc.h264_encoder import SOFTWARE, RealtimeH264Encoder
from mirage_rtc.loss_bitrate import LossBitrate
from mirage_rtc.opus_encoder import OpusWishes, VoiceEncoder
from mirage_rtc.picture_metrics import PictureWatch
from mirage_rtc.vp8_encoder import RealtimeVp8Encoder

logger = logging.getLogger(__name__)

ENCODE_MAX_S = 2.0
"""Hardware that takes longer hangs, as a driver may: it is given up, and its thread with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """How pictures are encoded, and where."""

    threads: ThreadPoolExecutor
    kbps_start: int
    kbps_max: int
    h264: str = SOFTWARE
    """PyAV's name of the H.264 encoder; `encoder_probe` found it to work."""
    watch: PictureWatch | None = None
    """Is told how long a picture took, its wait for a thread included."""


class FrameEncoder:
    """Makes RTP payloads of frames. `fmtp` holds what the peer's offer says about the codec."""

    def __init__(self, settings: EncoderSettings, fmtp: Mapping[str, Any]) -> None:
        self._settings = settings
        self._wishes = OpusWishes.of(fmtp)
        self._h264 = settings.h264
        self._codec: Any = None
        self._bitrate = LossBitrate(start_bps=settings.kbps_start * 1000, max_bps=settings.kbps_max * 1000)

    @property
    def target_bps(self) -> int:
        """What a picture may take now, in bits per second."""
        return self._bitrate.target_bps

    async def encode(self, codec: Any, frame: Any, key: bool) -> tuple[list[bytes], int]:
        """Payloads and their timestamp. Raises what the encoder raises, TimeoutError where it hangs.

        A voice frame is encoded here and now: it takes 0.1 to 0.2 ms, the hop to a thread and back takes 0.14 ms.
        """
        encode = self._for(codec).encode
        if isinstance(frame, AudioFrame):
            payloads: tuple[list[bytes], int] = encode(frame, key)
            return payloads
        async with asyncio.timeout(ENCODE_MAX_S if self._h264 != SOFTWARE else None):
            return await asyncio.get_running_loop().run_in_executor(self._settings.threads, encode, frame, key)

    def forget(self) -> None:
        """Let go of the 6.5 ms of sound that Opus holds back: they die with the encoder that holds them."""
        if isinstance(self._codec, VoiceEncoder):
            self._codec = None

    def release(self) -> None:
        """Nothing more comes: free the codec now; the collector frees the rest, and sees no sizes."""
        self._codec = None

    def give_up(self) -> None:
        """The encoder raised: take a new one, and x264 for good where hardware failed."""
        if isinstance(self._codec, RealtimeH264Encoder) and self._h264 != SOFTWARE:
            logger.warning("the hardware encoder failed: x264 goes on", extra={"encoder": self._h264})
            self._h264 = SOFTWARE
        self._codec = None

    def note_loss(self, fraction: float) -> None:
        """Take the loss (0..1) of one receiver report."""
        self._bitrate.report(fraction)
        self._follow()
        if isinstance(self._codec, VoiceEncoder):
            self._codec.note_loss(fraction)

    def _follow(self) -> None:
        if hasattr(self._codec, "target_bitrate"):
            self._codec.target_bitrate = self._bitrate.target_bps

    def _for(self, codec: Any) -> Any:
        if self._codec is None:
            self._codec = self._make(codec)
            self._follow()
        return self._codec

    def _make(self, codec: Any) -> Any:
        start, most = self._settings.kbps_start, self._settings.kbps_max
        match codec.name.lower():
            case "h264":
                return RealtimeH264Encoder(start, most, packetize_h264, name=self._h264)
            case "vp8":
                return RealtimeVp8Encoder(start, most, Vp8Encoder._packetize)
            case "opus":
                return VoiceEncoder(self._wishes)
            case _:
                return get_encoder(codec)


def packetize_h264(stream: bytes) -> list[bytes]:
    """RTP payloads of one encoded H.264 picture (RFC 6184, packetization mode 1), by aiortc's own packetiser."""
    return H264Encoder._packetize(H264Encoder._split_bitstream(stream))


def audio_level_dbov(frame: AudioFrame) -> int:
    """The level of an s16 frame in dBov, -127 to 0 (RFC 6464), by numpy."""
    count = frame.samples * len(frame.layout.channels)
    samples = np.frombuffer(memoryview(frame.planes[0]), np.int16)[:count].astype(np.float32)
    power = float(samples @ samples) / (32767.0**2 * count) if count else 0.0
    return -127 if power <= 1e-12 else round(max(-127.0, min(0.0, 10.0 * math.log10(power))))

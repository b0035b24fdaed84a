"""A tuned sender: our encoder in our threads under upstream's RTCRtpSender, nothing stale sent, and sender reports that
carry the time of capture. Made by `rtc_leg` before the sender starts.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from aiortc import RTCRtpSender
from aiortc.codecs import get_encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtcpSrPacket
from av import AudioFrame

from mirage_rtc.h264_encoder import RealtimeH264Encoder
from mirage_rtc.loss_bitrate import LossBitrate

logger = logging.getLogger(__name__)

ENCODER_PAUSE_S = 0.02
_NTP_UNIX_S = 2_208_988_800
"""1970 on the NTP clock (RFC 5905 §6)."""


class Source(Protocol):
    """What a tuned sender needs of its track beside `recv`."""

    generation: int
    """Of the frame last handed over; when it grows, the next picture must not build on the former ones."""
    capture_s: float
    """When the frame last handed over was captured, on the server's monotonic clock."""

    def is_stale(self) -> bool:
        """Whether what was last handed over may no longer be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """How pictures are encoded, and where."""

    threads: ThreadPoolExecutor
    kbps_start: int
    kbps_max: int


class TunedSender:
    """The corrections of one sender."""

    def __init__(
        self,
        sender: RTCRtpSender,
        source: Source,
        settings: EncoderSettings,
        *,
        wall_offset_s: float,
        on_feedback: Callable[[], None],
    ) -> None:
        self._upstream = cast("Any", sender)
        self._source = source
        self._settings = settings
        self._wall_offset_s = wall_offset_s
        self._on_feedback = on_feedback
        self._encoder: Any = None
        self._bitrate = LossBitrate(start_bps=settings.kbps_start * 1000, max_bps=settings.kbps_max * 1000)
        self._encoded_generation = source.generation
        self._encoded: tuple[int, float] | None = None
        self._sent: tuple[int, float] | None = None
        self._send_rtcp, self._upstream._send_rtcp = self._upstream._send_rtcp, self._send_reports
        self._handle_rtcp, self._upstream._handle_rtcp_packet = self._upstream._handle_rtcp_packet, self._take_rtcp
        self._send_again, self._upstream._retransmit = self._upstream._retransmit, self._retransmit
        self._upstream._next_encoded_frame = self._next_encoded_frame

    @property
    def sent(self) -> tuple[int, float] | None:
        """RTP timestamp and capture time of the frame that left last; None before one did."""
        return self._sent

    async def _next_encoded_frame(self, codec: Any) -> RTCEncodedFrame | None:
        """What upstream sends next; None drops it. Raises what the track raises at its end, and nothing else."""
        self._note_sent()
        frame: Any = await self._upstream._RTCRtpSender__track.recv()
        try:
            return await self._encode(codec, frame)
        except Exception:  # an encoder may raise anything, and a sender that raises never sends again
            logger.exception("a frame was not encoded")
            self._encoder = None
            self._upstream._send_keyframe()
            await asyncio.sleep(ENCODER_PAUSE_S)
            return None

    async def _encode(self, codec: Any, frame: Any) -> RTCEncodedFrame | None:
        upstream = self._upstream
        key = upstream._RTCRtpSender__force_keyframe or self._source.generation != self._encoded_generation
        upstream._RTCRtpSender__force_keyframe = False
        if self._source.generation != self._encoded_generation:
            upstream._RTCRtpSender__rtp_history.clear()  # what was sent before may not be sent again
            self._encoded_generation = self._source.generation
        capture_s = self._source.capture_s
        encode = self._encoder_for(codec).encode
        payloads, timestamp = await asyncio.get_running_loop().run_in_executor(
            self._settings.threads, encode, frame, key
        )
        if self._source.is_stale():
            upstream._send_keyframe()  # what was dropped was a reference
            return None
        if not payloads:
            return None
        self._encoded = (timestamp, capture_s)
        level: Any = audio_level_dbov(frame) if isinstance(frame, AudioFrame) else None
        return RTCEncodedFrame(payloads, timestamp, level)

    async def _retransmit(self, sequence_number: int) -> None:
        """Send a packet again, unless it is of the past."""
        if not self._source.is_stale():
            await self._send_again(sequence_number)

    def _encoder_for(self, codec: Any) -> Any:
        if self._encoder is None:
            settings = self._settings
            h264 = codec.name == "H264"
            self._encoder = (
                RealtimeH264Encoder(settings.kbps_start, settings.kbps_max, packetize_h264)
                if h264
                else get_encoder(codec)
            )
            self._follow(self._bitrate.target_bps)
        return self._encoder

    def _note_sent(self) -> None:
        """Upstream asks for the next frame when the last one is sent: its RTP timestamp is known now."""
        if self._encoded is not None:
            self._sent = (self._upstream._RTCRtpSender__rtp_timestamp, self._encoded[1])
            self._encoded = None

    async def _send_reports(self, packets: list[Any]) -> None:
        """Let a sender report pair the RTP timestamp with the time of capture (RFC 3550 §6.4.1), not of sending."""
        report = packets[0]
        if isinstance(report, RtcpSrPacket):
            if self._sent is None:
                return  # a report without a frame would pair nothing with nothing
            report.sender_info.rtp_timestamp, capture_s = self._sent
            report.sender_info.ntp_timestamp = ntp_timestamp(capture_s + self._wall_offset_s)
            self._upstream._RTCRtpSender__lsr = (report.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
        await self._send_rtcp(packets)

    async def _take_rtcp(self, packet: Any) -> None:
        self._on_feedback()
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            return  # REMB, see `loss_bitrate`
        for report in getattr(packet, "reports", ()):
            if report.ssrc == self._upstream._ssrc:
                self._follow(self._bitrate.report(report.fraction_lost / 256))
        await self._handle_rtcp(packet)

    def _follow(self, target_bps: int) -> None:
        if hasattr(self._encoder, "target_bitrate"):
            self._encoder.target_bitrate = target_bps


def ntp_timestamp(unix_s: float) -> int:
    """A Unix time as a 64-bit NTP timestamp (RFC 5905 §6)."""
    return round((unix_s + _NTP_UNIX_S) * (1 << 32))


def packetize_h264(stream: bytes) -> list[bytes]:
    """RTP payloads of one encoded H.264 picture (RFC 6184, packetization mode 1), by aiortc's own packetiser."""
    return H264Encoder._packetize(H264Encoder._split_bitstream(stream))


def audio_level_dbov(frame: AudioFrame) -> int:
    """The level of an s16 frame in dBov, -127 to 0 (RFC 6464), by numpy."""
    samples = np.frombuffer(bytes(frame.planes[0]), np.int16)[: frame.samples * len(frame.layout.channels)]
    power = float(np.mean(np.square(samples.astype(np.float32)))) / 32767.0**2 if len(samples) else 0.0
    return -127 if power <= 1e-12 else round(max(-127.0, min(0.0, 10.0 * math.log10(power))))

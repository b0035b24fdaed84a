"""A tuned sender: our encoder, packets and pace under upstream's RTCRtpSender, nothing stale sent, and sender reports
that carry the time of capture. Made by `rtc_leg` before the sender starts.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

from aiortc import RTCRtpSender
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import RTCP_PSFB_APP, HeaderExtensions, RtcpPsfbPacket, RtcpSrPacket
from av import AudioFrame

from mirage_rtc.aiortc_private.allowance import Allowance
from mirage_rtc.aiortc_private.frame_encoder import EncoderSettings, FrameEncoder, audio_level_dbov
from mirage_rtc.aiortc_private.pacer import Pacer, offsets_s
from mirage_rtc.aiortc_private.rtp_stream import RtpStream, Rtx, extension_block
from mirage_rtc.clock import Clock, monotonic_s

__all__ = ["EncoderSettings", "Source", "TunedSender", "ntp_timestamp"]

logger = logging.getLogger(__name__)

ENCODER_PAUSE_S = 0.02
RTT_UNKNOWN_S = 0.1
"""Taken for the round trip until the peer's reports tell it."""
RTT_MIN_S = 0.02
"""A report may say anything, even that it came before it left."""
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


class TunedSender:
    """The corrections of one sender. `fmtp` holds what the peer's offer says about the codec."""

    def __init__(
        self,
        sender: RTCRtpSender,
        source: Source,
        settings: EncoderSettings,
        *,
        wall_offset_s: float,
        on_feedback: Callable[[], None],
        clock: Clock = monotonic_s,
        fmtp: Mapping[str, Any] | None = None,
    ) -> None:
        self._upstream = cast("Any", sender)
        self._source = source
        self._wall_offset_s = wall_offset_s
        self._on_feedback = on_feedback
        self._clock = clock
        self._encoder = FrameEncoder(settings, fmtp or {})
        self._watch = settings.watch
        self._encoded_generation = source.generation
        self._pacer = Pacer(clock)
        most_bytes = settings.kbps_max * 1000 / 8
        self._again = Allowance(most=most_bytes, per_s=most_bytes, clock=clock)
        self._stream: RtpStream | None = None
        self._origin = random.getrandbits(32)
        self._sent: tuple[int, float, int] | None = None
        self._send_rtcp, self._upstream._send_rtcp = self._upstream._send_rtcp, self._send_reports
        self._handle_rtcp, self._upstream._handle_rtcp_packet = self._upstream._handle_rtcp_packet, self._take_rtcp
        self._upstream._retransmit = self._retransmit
        self._upstream._next_encoded_frame = self._next_encoded_frame
        self._upstream._run_rtp = self._run_rtp

    async def _run_rtp(self, codec: Any) -> None:
        """Send until the track or the connection ends. Upstream starts it, cancels it, and waits for its last line."""
        upstream = self._upstream
        rtx_type = upstream._RTCRtpSender__rtx_payload_type
        rtx = None if rtx_type is None else Rtx(rtx_type, upstream._rtx_ssrc)
        self._stream = RtpStream(ssrc=upstream._ssrc, payload_type=codec.payloadType, rtx=rtx, clock=self._clock)
        upstream._RTCRtpSender__rtp_started.set()
        try:
            await self._send_frames(codec, self._stream)
        except (asyncio.CancelledError, ConnectionError, MediaStreamError):
            pass
        except Exception:  # upstream waits for the line below, whatever happened
            logger.exception("a sender ended")
        if upstream._RTCRtpSender__track is not None:
            upstream._RTCRtpSender__track.stop()
            upstream._RTCRtpSender__track = None
        upstream._RTCRtpSender__rtp_exited.set()

    async def _send_frames(self, codec: Any, stream: RtpStream) -> None:
        while True:
            encoded = await self._next_encoded_frame(codec)
            if encoded is not None:
                await self._send_frame(encoded, codec.clockRate, stream)

    @property
    def sent(self) -> tuple[int, float] | None:
        """RTP timestamp and capture time of the frame that left last; None before one did."""
        return self._sent[:2] if self._sent is not None else None

    def release(self) -> None:
        """The connection is closed: let go of the encoder and of the packets that were sent."""
        self._encoder.release()
        self._stream = None

    async def _next_encoded_frame(self, codec: Any) -> RTCEncodedFrame | None:
        """What is sent next; None drops it. Raises what the track raises at its end, and nothing else."""
        frame: Any = await self._upstream._RTCRtpSender__track.recv()
        new = self._source.generation != self._encoded_generation
        if new:
            self._forget_the_past()  # also while nothing is sent: a peer may ask for the past then, too
        if not self._upstream._enabled:
            self._upstream._RTCRtpSender__force_keyframe |= new
            return None
        try:
            return await self._encode(codec, frame, new)
        except Exception:  # an encoder may raise anything, and a sender that raises never sends again
            logger.exception("a frame was not encoded")
            self._encoder.give_up()
            self._upstream._send_keyframe()
            await asyncio.sleep(ENCODER_PAUSE_S)
            return None

    async def _encode(self, codec: Any, frame: Any, new: bool) -> RTCEncodedFrame | None:
        """Encode a frame; one that is `new` must not build on what was sent before."""
        upstream = self._upstream
        key = upstream._RTCRtpSender__force_keyframe or new
        upstream._RTCRtpSender__force_keyframe = False
        began_s = self._clock()
        payloads, timestamp = await self._encoder.encode(codec, frame, key)
        if self._watch is not None and not isinstance(frame, AudioFrame):
            self._watch.stage("encode", (self._clock() - began_s) * 1000)
        if self._source.is_stale():
            upstream._send_keyframe()  # what was dropped was a reference
            return None
        if not payloads:
            return None
        level: Any = audio_level_dbov(frame) if isinstance(frame, AudioFrame) else None
        return RTCEncodedFrame(payloads, timestamp, level)

    def _forget_the_past(self) -> None:
        """What was sent before may not be sent again, and no encoder keeps a part of it."""
        if self._stream is not None:
            self._stream.forget()
        self._encoder.forget()
        self._encoded_generation = self._source.generation

    async def _send_frame(self, encoded: RTCEncodedFrame, rate_hz: int, stream: RtpStream) -> None:
        """Send one frame's packets, each in its turn and none after its generation ended."""
        timestamp = (self._origin + encoded.timestamp) & 0xFFFFFFFF
        extension = self._extension(encoded.audio_level)
        offsets = offsets_s([len(payload) for payload in encoded.payloads], self._encoder.target_bps)
        self._pacer.begin()
        for number, payload in enumerate(encoded.payloads, 1):
            await self._pacer.turn(offsets[number - 1])
            if self._source.is_stale():
                self._upstream._send_keyframe()  # what is left out was a reference
                return
            last = number == len(encoded.payloads)
            await self._send(stream.packet(payload, timestamp, last=last, extension=extension), len(payload))
        self._sent = (timestamp, self._source.capture_s, rate_hz)

    async def _send(self, packet: bytes, payload_bytes: int) -> None:
        upstream = self._upstream
        await upstream.transport._send_rtp(packet)
        upstream._RTCRtpSender__packet_count += 1
        upstream._RTCRtpSender__octet_count += payload_bytes

    def _extension(self, level_dbov: int | None) -> bytes:
        """The header extensions of one frame. No abs-send-time: the answer does not take it (`addresses`)."""
        upstream = self._upstream
        values = HeaderExtensions(mid=upstream._RTCRtpSender__mid)
        if level_dbov is not None:
            values.audio_level = (False, -level_dbov)
        return extension_block(upstream._RTCRtpSender__rtp_header_extensions_map, values)

    async def _retransmit(self, sequence_number: int) -> None:
        """Send a packet again, unless it is of the past, was sent again half a round trip ago, or costs too much."""
        if self._stream is None or self._source.is_stale() or self._source.generation != self._encoded_generation:
            return
        rtt_s = max(RTT_MIN_S, self._upstream._RTCRtpSender__rtt or RTT_UNKNOWN_S)
        packet = self._stream.again(sequence_number, not_within_s=rtt_s / 2) if self._again.any() else None
        if packet is not None:
            self._again.spend(len(packet))
            await self._upstream.transport._send_rtp(packet)

    async def _send_reports(self, packets: list[Any]) -> None:
        """Let a sender report pair the RTP timestamp with the time of capture (RFC 3550 §6.4.1), not of sending.

        Both are carried on to now, as libwebrtc does it, so that each report has an NTP time of its own: the peer's
        answer names it, and the round trip is measured from it.
        """
        report = packets[0]
        if isinstance(report, RtcpSrPacket):
            if self._sent is None:
                return  # a report without a frame would pair nothing with nothing
            timestamp, capture_s, rate_hz = self._sent
            now_s = self._clock()
            report.sender_info.rtp_timestamp = (timestamp + round((now_s - capture_s) * rate_hz)) & 0xFFFFFFFF
            report.sender_info.ntp_timestamp = ntp_timestamp(now_s + self._wall_offset_s)
            self._upstream._RTCRtpSender__lsr = (report.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
        await self._send_rtcp(packets)

    async def _take_rtcp(self, packet: Any) -> None:
        self._on_feedback()
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            return  # REMB, see `loss_bitrate`
        for report in getattr(packet, "reports", ()):
            if report.ssrc == self._upstream._ssrc:
                self._encoder.note_loss(report.fraction_lost / 256)
        await self._handle_rtcp(packet)


def ntp_timestamp(unix_s: float) -> int:
    """A Unix time as a 64-bit NTP timestamp (RFC 5905 §6)."""
    return round((unix_s + _NTP_UNIX_S) * (1 << 32))

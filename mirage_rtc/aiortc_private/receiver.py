"""A tuned receiver: our buffers under upstream's RTCRtpReceiver, NACK on a timer, PLI when the picture stalls, and the
capture time of what comes from the peer's sender reports. Made by `rtc_leg` before the receiver starts.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from aiortc import RTCRtpReceiver
from aiortc.rtp import RtcpSrPacket, RtpPacket

from mirage_rtc.aiortc_private.decode_queue import DecodeQueue, is_key_frame, starts_frame
from mirage_rtc.aiortc_private.media_buffer import MediaBuffer

TICK_S = 0.02
NACK_AGAIN_S = 0.06
NACK_TRIES = 4
STALL_S = 0.25
"""Packets come and no frame is whole for this long: what is missing is given up and a key frame asked for."""
PLI_EVERY_S = 0.5
_VIDEO_CAPACITY, _AUDIO_CAPACITY = 512, 16
_NTP_FRACTION = 1 << 32


class TunedReceiver:
    """The corrections of one receiver. `run` belongs to the leg's tasks."""

    def __init__(self, receiver: RTCRtpReceiver, *, clock: Callable[[], float], on_packet: Callable[[], None]) -> None:
        self._upstream = cast("Any", receiver)
        self._clock = clock
        self._on_packet = on_packet
        self._is_video = self._upstream._RTCRtpReceiver__kind == "video"
        self._buffer = MediaBuffer(
            capacity=_VIDEO_CAPACITY if self._is_video else _AUDIO_CAPACITY,
            is_video=self._is_video,
            starts_frame=lambda packet: starts_frame(self._codec_name(packet), packet),
            is_key=lambda data: self._decode.codec is None or is_key_frame(self._decode.codec.name, data),
        )
        self._decode = DecodeQueue(is_video=self._is_video, on_behind=self._want_key_frame)
        self._ssrc = 0
        self._waiting_since_s: float | None = None
        self._asked_s = float("-inf")
        self._key_wanted = False
        self._nacked: dict[int, tuple[int, float]] = {}
        self._report: tuple[float, int] | None = None
        self._install()

    @property
    def dropped(self) -> int:
        """Encoded frames dropped before decoding."""
        return self._decode.dropped

    def sender_s(self, pts: int, rate_hz: int) -> float | None:
        """When the peer captured what has this pts, on its own clock in seconds; None before its first report."""
        if self._report is None:
            return None
        ntp_s, at_pts = self._report
        return ntp_s + (pts - at_pts) / rate_hz

    async def run(self) -> None:
        """Ask again for what is missing, and for a key frame when the picture stalls, until cancelled."""
        while self._is_video:
            await asyncio.sleep(TICK_S)
            await self.tick()

    async def tick(self) -> None:
        """What is due now."""
        await self._ask_again()
        if self._stalled():
            self._buffer.resync()
            self._key_wanted = True
        await self._ask_for_key_frame()

    def _install(self) -> None:
        upstream = self._upstream
        upstream._RTCRtpReceiver__jitter_buffer = self._buffer
        upstream._RTCRtpReceiver__decoder_queue = self._decode
        self._handle_rtp, upstream._handle_rtp_packet = upstream._handle_rtp_packet, self._take_rtp
        self._handle_rtcp, upstream._handle_rtcp_packet = upstream._handle_rtcp_packet, self._take_rtcp

    def _codec_name(self, packet: RtpPacket) -> str:
        codec = self._upstream._RTCRtpReceiver__codecs.get(packet.payload_type)
        return codec.name if codec is not None else ""

    async def _take_rtp(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        self._on_packet()
        self._ssrc = self._upstream._RTCRtpReceiver__rtx_ssrc.get(packet.ssrc, packet.ssrc)
        before = self._decode.offered
        if self._waiting_since_s is None:
            self._waiting_since_s = self._clock()
        await self._handle_rtp(packet, arrival_time_ms)
        while self._decode.codec is not None and (frame := self._buffer.take()) is not None:
            frame.timestamp = self._upstream._RTCRtpReceiver__timestamp_mapper.map(frame.timestamp)
            self._decode.put((self._decode.codec, frame))
        if self._decode.offered != before:
            self._waiting_since_s = None

    async def _take_rtcp(self, packet: Any) -> None:
        self._on_packet()
        if isinstance(packet, RtcpSrPacket):
            self._note_report(packet)
        await self._handle_rtcp(packet)

    def _note_report(self, packet: RtcpSrPacket) -> None:
        """Keep (peer's clock, our pts) of the same moment (RFC 3550 §6.4.1)."""
        mapper = self._upstream._RTCRtpReceiver__timestamp_mapper
        if mapper._origin is None or packet.sender_info.ntp_timestamp == 0:
            return
        ahead = (packet.sender_info.rtp_timestamp - mapper._last + (1 << 31)) % (1 << 32) - (1 << 31)
        self._report = (packet.sender_info.ntp_timestamp / _NTP_FRACTION, mapper._last - mapper._origin + ahead)

    def _stalled(self) -> bool:
        return self._waiting_since_s is not None and self._clock() - self._waiting_since_s > STALL_S

    def _want_key_frame(self) -> None:
        self._key_wanted = True

    async def _ask_for_key_frame(self) -> None:
        if self._key_wanted and self._clock() - self._asked_s >= PLI_EVERY_S:
            self._key_wanted = False
            self._asked_s = self._clock()
            await self._upstream._send_rtcp_pli(self._ssrc)

    async def _ask_again(self) -> None:
        """NACK once more what upstream asked for in vain (RFC 4585 §6.2.1)."""
        missing: set[int] = self._upstream._RTCRtpReceiver__nack_generator.missing
        missing -= {sequence for sequence in missing if not self._buffer.wants(sequence)}
        now_s = self._clock()
        self._nacked = {sequence: self._nacked.get(sequence, (1, now_s)) for sequence in missing}
        again = [
            sequence
            for sequence, (tries, asked_s) in self._nacked.items()
            if tries < NACK_TRIES and now_s - asked_s >= NACK_AGAIN_S
        ]
        if not again:
            return
        self._nacked |= {sequence: (self._nacked[sequence][0] + 1, now_s) for sequence in again}
        await self._upstream._send_rtcp_nack(self._ssrc, sorted(again))

"""A tuned receiver: our buffers under upstream's RTCRtpReceiver (aiortc 1.16.0), NACK on a timer, PLI when the picture
stalls, and the capture time of what comes from the peer's sender reports. Made before the receiver starts, by `rtc_leg`
on the server, or by a client for its own; who makes it runs `run` and cancels that after the connection is closed.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, cast

from aiortc import RTCRtpReceiver
from aiortc.rtp import RtcpSrPacket, RtpPacket

from mirage_rtc.aiortc_private.concealment import RATE_HZ as OPUS_RATE_HZ
from mirage_rtc.aiortc_private.decode_queue import DecodeQueue, is_key_frame, starts_frame
from mirage_rtc.aiortc_private.media_buffer import MediaBuffer
from mirage_rtc.aiortc_private.nack_list import NackList
from mirage_rtc.aiortc_private.rtp_timeline import RtpTimeline
from mirage_rtc.aiortc_private.sound_queue import SoundQueue
from mirage_rtc.capture_marks import ReportTransit
from mirage_rtc.picture_metrics import PictureWatch

logger = logging.getLogger(__name__)

TICK_S, BUSY_TICK_S = 0.02, 0.005
"""How often to look what is due, and how often while packets are missing."""
STALL_S = 0.25
"""Packets come and no frame is whole for this long: a key frame is asked for."""
PLI_EVERY_S = 0.5
SOURCES_MAX = 8
"""SSRCs heard on one track: its own, its retransmissions', and what a browser changes to in mid-call."""
_VIDEO_CAPACITY, _AUDIO_CAPACITY = 512, 16
_NTP_FRACTION = 1 << 32


def _nothing() -> None:
    """Who tunes a receiver need not care for its packets."""


class TunedReceiver:
    """The corrections of one receiver. `run` belongs to the leg's tasks."""

    def __init__(
        self,
        receiver: RTCRtpReceiver,
        *,
        clock: Callable[[], float],
        on_packet: Callable[[], None] = _nothing,
        watch: PictureWatch | None = None,
    ) -> None:
        self._upstream = cast("Any", receiver)
        self._clock = clock
        self._on_packet = on_packet
        self._watch = watch
        self._is_video = self._upstream._RTCRtpReceiver__kind == "video"
        self._nacks = NackList(clock=clock, wants=lambda sequence: self._buffer.wants(sequence))
        self._buffer = MediaBuffer(
            capacity=_VIDEO_CAPACITY if self._is_video else _AUDIO_CAPACITY,
            is_video=self._is_video,
            starts_frame=lambda packet: starts_frame(self._codec_name(packet), packet),
            is_key=lambda packet, data: is_key_frame(self._codec_name(packet), data),
            on_restart=self._nacks.clear,
        )
        self._decode = self._decode_queue()
        self._timeline = RtpTimeline()
        self._ssrc = 0
        self._waiting_since_s: float | None = None
        self._asked_s = float("-inf")
        self._key_wanted = False
        self._report: tuple[float, int] | None = None
        self.reports = ReportTransit()
        self._ending: threading.Thread | None = None
        self._sources: set[int] = set()
        self._install()

    @property
    def dropped(self) -> int:
        """Encoded frames dropped before decoding."""
        return self._decode.dropped

    @property
    def concealed_ms(self) -> float:
        """How much lost sound the decoder made up so far; pauses of the sender are not counted."""
        if isinstance(self._decode, DecodeQueue):
            return 0.0
        return 1000.0 * self._decode.concealment.lost_samples / OPUS_RATE_HZ

    def sender_s(self, pts: int, rate_hz: int) -> float | None:
        """When the peer captured what has this pts, on its own clock in seconds; None before its first report."""
        if self._report is None:
            return None
        ntp_s, timestamp = self._report
        at_pts = self._timeline.at(timestamp)
        return None if at_pts is None else ntp_s + (pts - at_pts) / rate_hz

    async def run(self) -> None:
        """Ask again for what is missing, and for a key frame when the picture stalls, until cancelled."""
        try:
            while self._is_video:
                await asyncio.sleep(BUSY_TICK_S if self._nacks.waiting else TICK_S)
                await self.tick()
            await asyncio.Event().wait()  # a sound is never asked for again: sleep, not fifty times a second
        finally:
            if self._ending is not None:
                await asyncio.to_thread(self._ending.join)

    async def tick(self) -> None:
        """What is due now, for a picture."""
        await self._ask_for_missing()
        if self._nacks.gave_up() or self._stalled():
            self._key_wanted = True
        await self._ask_for_key_frame()

    def _install(self) -> None:
        upstream = self._upstream
        upstream._RTCRtpReceiver__jitter_buffer = self._buffer
        upstream._RTCRtpReceiver__decoder_queue = self._decode
        upstream._RTCRtpReceiver__timestamp_mapper = self._timeline
        upstream._RTCRtpReceiver__stop_decoder = self._stop_decoder
        if self._is_video:
            upstream._RTCRtpReceiver__nack_generator = self._nacks
        self._handle_rtp, upstream._handle_rtp_packet = upstream._handle_rtp_packet, self._take_rtp
        self._handle_rtcp, upstream._handle_rtcp_packet = upstream._handle_rtcp_packet, self._take_rtcp
        self._report_on, upstream._run_rtcp = upstream._run_rtcp, self._run_rtcp
        self._send_pli, upstream._send_rtcp_pli = upstream._send_rtcp_pli, self._take_pli

    def _decode_queue(self) -> DecodeQueue | SoundQueue:
        if self._is_video:
            return DecodeQueue(clock=self._clock, on_behind=self._want_key_frame, watch=self._watch)
        return SoundQueue(clock=self._clock, leave=lambda frame: self._upstream._track._queue.put_nowait(frame))

    def _codec_name(self, packet: RtpPacket) -> str:
        codec = self._upstream._RTCRtpReceiver__codecs.get(packet.payload_type)
        return codec.name if codec is not None else ""

    def _is_known(self, packet: RtpPacket) -> bool:
        """Whether a packet is of a source that may be heard; upstream would keep tables of any number of them."""
        if len(self._sources) < SOURCES_MAX:
            self._sources.add(packet.ssrc)
        if packet.ssrc in self._sources:
            return True
        self._upstream.transport._rtp_router.ssrc_table.pop(packet.ssrc, None)
        return False

    async def _take_rtp(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        if not self._is_known(packet):
            return
        self._on_packet()
        self._ssrc = self._upstream._RTCRtpReceiver__rtx_ssrc.get(packet.ssrc, packet.ssrc)
        before = self._decode.offered
        if self._waiting_since_s is None:
            self._waiting_since_s = self._clock()
        await self._handle_rtp(packet, arrival_time_ms)
        while self._decode.codec is not None and (frame := self._buffer.take()) is not None:
            frame.timestamp = self._timeline.map(frame.timestamp)
            self._decode.put((self._decode.codec, frame))
        if self._decode.offered != before:
            self._waiting_since_s = None
        if self._nacks.waiting:
            await self._ask_for_missing()

    async def _run_rtcp(self) -> None:
        """Report until cancelled; upstream's stop() waits for ever for a task that ended by an error."""
        while not self._upstream._RTCRtpReceiver__rtcp_exited.is_set():
            try:
                await self._report_on()
            except Exception:  # whatever a peer's figures make of a report
                logger.exception("a report was not sent")

    async def _take_rtcp(self, packet: Any) -> None:
        self._on_packet()
        if isinstance(packet, RtcpSrPacket) and packet.sender_info.ntp_timestamp:
            info = packet.sender_info  # the peer's clock and RTP timestamp of one moment (RFC 3550 §6.4.1)
            self._report = (info.ntp_timestamp / _NTP_FRACTION, info.rtp_timestamp)
            self.reports.note(self._report[0], self._clock())
        await self._handle_rtcp(packet)

    async def _take_pli(self, media_ssrc: int) -> None:
        """Upstream wants a key frame: for an overrun, or because the decoder refused a picture."""
        self._ssrc = media_ssrc
        self._key_wanted = True
        await self._ask_for_key_frame()

    def _stalled(self) -> bool:
        return self._waiting_since_s is not None and self._clock() - self._waiting_since_s > STALL_S

    def _want_key_frame(self) -> None:
        self._key_wanted = True

    async def _ask_for_key_frame(self) -> None:
        if self._key_wanted and self._clock() - self._asked_s >= PLI_EVERY_S:
            self._key_wanted = False
            self._asked_s = self._clock()
            await self._send_pli(self._ssrc)

    async def _ask_for_missing(self) -> None:
        """Send one NACK for all that is due (RFC 4585 §6.2.1)."""
        due = self._nacks.due()
        if due:
            await self._upstream._send_rtcp_nack(self._ssrc, due)

    def _stop_decoder(self) -> None:
        """Tell the decoder's thread to end; upstream also waits for it, on the event loop. `run` does at its end."""
        if self._upstream._RTCRtpReceiver__decoder_thread is not None:
            self._ending, self._upstream._RTCRtpReceiver__decoder_thread = (
                self._upstream._RTCRtpReceiver__decoder_thread,
                None,
            )
            self._decode.put(None)

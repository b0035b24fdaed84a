"""The WebRTC transport of one session: one RTCPeerConnection that answers one offer. Built by `session`.

A reconnect is a new RtcLeg on the same session, because aiortc knows no ICE restart.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.sdp import MediaDescription, SessionDescription, candidate_from_sdp

from mirage_rtc.aiortc_private.addresses import advertise, without_receiver_estimate
from mirage_rtc.aiortc_private.pause import Pause
from mirage_rtc.aiortc_private.receiver import TunedReceiver
from mirage_rtc.aiortc_private.send_consent import wait_for_answers
from mirage_rtc.aiortc_private.sender import EncoderSettings, TunedSender
from mirage_rtc.aiortc_private.source_guard import abort_sockets, guard
from mirage_rtc.call_stats import SessionStats
from mirage_rtc.capture_marks import capture_mark
from mirage_rtc.clock import Transit
from mirage_rtc.errors import BadInput
from mirage_rtc.leg import Leg, LegParts
from mirage_rtc.liveness import Liveness
from mirage_rtc.tracks import (
    AUDIO_FRAME_SAMPLES,
    AUDIO_RATE_HZ,
    ConvertedAudioTrack,
    SwappedVideoTrack,
    pump_audio,
    pump_video,
)

logger = logging.getLogger(__name__)

CONNECT_S = 15.0
SILENT_S = 4.2
"""Nothing from the peer for this long: it is dead (aiortc alone takes 30 s to notice). Its media must be gone after
5 s, and a network that is away for 4 s shall not cost the connection."""
WATCH_S = 0.1
CLOSE_S = 2.0
_OFFER_BAD = "The offer cannot be used: offer at most one audio and one video track, with ICE and DTLS."

LOST = {
    "ice_failed": "The media connection could not be made or broke: the page tries again, over TURN or this socket.",
    "peer_silent": "Nothing came from the browser for some seconds: the page connects again by itself.",
}
"""What a person is told of a connection that is given up, by the code of `on_lost`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How a leg encodes and what addresses it names."""

    codec: str
    settings: EncoderSettings
    advertise_ips: tuple[str, ...] = ()


class RtcLeg:
    """One peer connection and the leg behind it."""

    def __init__(self, parts: LegParts, *, encoding: Encoding, on_lost: Callable[["RtcLeg", str], None]) -> None:
        self.leg = Leg(parts, sample_rate_hz=AUDIO_RATE_HZ, frame_samples=AUDIO_FRAME_SAMPLES, fill=True)
        self._encoding = encoding
        self._on_lost = on_lost
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._liveness = Liveness(parts.clock)
        self._connected = asyncio.Event()
        self._refused = parts.metrics.datagrams_refused
        self._ufrags: set[str | None] = {None}
        self._client = Transit()
        self._wall_offset_s = time.time() - parts.clock()  # once: a clock set meanwhile must not bend the reports
        self._receivers: dict[str, TunedReceiver] = {}
        self._senders: dict[str, TunedSender] = {}
        self._connection.on("track", self._take_track)
        self._connection.on("connectionstatechange", self._note_state)

    async def answer(self, offer_sdp: str) -> str:
        """Answer an offer. Raises BadInput "offer_bad"."""
        try:
            await self._accept(offer_sdp)
        except Exception as error:  # noqa: BLE001 - aiortc's SDP parser raises whatever its input makes it
            logger.info("offer refused", extra={"error": type(error).__name__})
            raise BadInput("offer_bad", _OFFER_BAD) from None
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        wait_for_answers(self._connection)
        guard(self._connection, on_refused=lambda why: self._refused.labels(why).inc(), on_check=self._liveness.hear)
        self.leg.start(self._run_watchdog())
        answer = without_receiver_estimate(self._connection.localDescription.sdp)
        return advertise(answer, self._encoding.advertise_ips)

    async def add_candidate(self, candidate: str, sdp_mid: str | None, sdp_m_line_index: int | None) -> None:
        """Add a trickled candidate; "" ends them; one of another offer is ignored. Raises BadInput "candidate_bad"."""
        if _ufrag(candidate) not in self._ufrags:
            return None  # it was on its way when the browser began anew (RFC 8838 §5.3)
        if not candidate:
            return await self._connection.addIceCandidate(None)
        try:
            parsed = candidate_from_sdp(candidate.removeprefix("candidate:"))
        except (AssertionError, ValueError, IndexError):
            raise _bad_candidate() from None
        if sdp_mid is None and sdp_m_line_index is None:
            raise _bad_candidate()
        parsed.sdpMid, parsed.sdpMLineIndex = sdp_mid, sdp_m_line_index
        return await self._connection.addIceCandidate(parsed)

    def stats(self) -> SessionStats:
        """The leg's figures, with the marks by which the client measures the way back to itself."""
        ahead_ms = (each.reports.ahead_ms for each in self._receivers.values())
        marks = {kind: capture_mark(sender.sent, self._client) for kind, sender in self._senders.items()}
        return msgspec.structs.replace(
            self.leg.stats(),
            video_mark=marks.get("video"),
            audio_mark=marks.get("audio"),
            reports_ahead_ms=min((each for each in ahead_ms if each is not None), default=None),
        )

    async def close(self) -> None:
        """End the connection and the leg, in bounded time. Idempotent."""
        self.leg.shut()
        self._connection.remove_all_listeners()  # our own good-bye is no loss
        closing = asyncio.ensure_future(self._connection.close())
        _, unfinished = await asyncio.wait((closing,), timeout=CLOSE_S)
        if unfinished:
            logger.error("a connection did not close in time: its sockets are cut")
            abort_sockets(self._connection)
            closing.cancel()
        await asyncio.gather(self.leg.close(), closing, return_exceptions=True)
        for sender in self._senders.values():
            sender.release()

    async def _accept(self, offer_sdp: str) -> None:
        """Our side first: aiortc picks the codecs while it reads the offer. Raises ValueError and aiortc's own."""
        media = SessionDescription.parse(offer_sdp).media
        kinds = [section.kind for section in media if section.kind != "application"]
        if not kinds or len(kinds) != len(set(kinds)):
            raise ValueError("kinds")
        for section in media:
            if section.kind in kinds:
                self._prepare(section.kind, _fmtp(section))
        self._ufrags |= {section.ice.usernameFragment for section in media if section.ice is not None}
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp=offer_sdp, type="offer"))

    def _prepare(self, kind: str, fmtp: Mapping[str, Any]) -> None:
        """Meet one offered m-line with our track, our buffers and our encoder."""
        track = self._track(kind)
        transceiver = self._connection.addTransceiver(track, direction="sendrecv")
        if transceiver.kind == "video":
            transceiver.setCodecPreferences(self._preferences())
        else:
            transceiver.setCodecPreferences(_opus())
        hear = self._liveness.hear
        receiver = TunedReceiver(
            transceiver.receiver, clock=self.leg.clock, on_packet=hear, watch=self._encoding.settings.watch
        )
        sender = TunedSender(
            transceiver.sender,
            track,
            self._encoding.settings,
            wall_offset_s=self._wall_offset_s,
            on_feedback=hear,
            clock=self.leg.clock,
            fmtp=fmtp,
        )
        self._receivers[kind] = receiver
        self._senders[kind] = sender
        self.leg.start(receiver.run())

    def _track(self, kind: str) -> SwappedVideoTrack | ConvertedAudioTrack:
        if kind == "video":
            return SwappedVideoTrack(self.leg.video, self.leg.clock, self.leg.picture_sent)
        return ConvertedAudioTrack(self.leg.audio, self.leg.sound_sent)

    def _preferences(self) -> list[Any]:
        """The preferred codec first, then the other, then retransmission."""
        first = f"video/{self._encoding.codec}".lower()
        codecs = RTCRtpSender.getCapabilities("video").codecs
        return sorted(codecs, key=lambda codec: (codec.mimeType.lower() != first, codec.mimeType == "video/rtx"))

    def _take_track(self, remote: MediaStreamTrack) -> None:
        leg, client, reported = self.leg, self._client, self._receivers[remote.kind].sender_s
        if remote.kind == "video":
            leg.start(pump_video(remote, leg.video, clock=leg.clock, client=client, reported=reported))
        else:
            leg.start(pump_audio(remote, leg.audio, clock=leg.clock, client=client, reported=reported))

    def _note_state(self) -> None:
        self._liveness.hear()
        if self._connection.connectionState == "connected":
            self._connected.set()
        if self._connection.connectionState in ("failed", "closed"):
            self._on_lost(self, "ice_failed")

    async def _run_watchdog(self) -> None:
        try:
            await asyncio.wait_for(self._connected.wait(), CONNECT_S)
        except TimeoutError:
            return self._on_lost(self, "ice_failed")
        pause = Pause(self._connection)
        while self._liveness.silent_s < SILENT_S:
            pause.set(self._liveness.stalled)  # what was sent meanwhile would come in a heap, and be late for long
            await asyncio.sleep(WATCH_S)
        return self._on_lost(self, "peer_silent")


def _ufrag(candidate: str) -> str | None:
    """The ICE user name that a candidate line belongs to, where it says so (RFC 8839 §5.1, extensions)."""
    words = candidate.split()
    extensions = dict(zip(words[8::2], words[9::2], strict=False))
    return extensions.get("ufrag")


def _bad_candidate() -> BadInput:
    return BadInput("candidate_bad", "The ICE candidate cannot be used: send it as the browser gave it.")


def _fmtp(section: MediaDescription) -> Mapping[str, Any]:
    """What the peer says about Opus; upstream's answer knows only our side of it."""
    named = (codec.parameters for codec in section.rtp.codecs if codec.mimeType.lower() == "audio/opus")
    return next(named, {})


def _opus() -> list[Any]:
    """Opus only: what comes in is taken at its 48 kHz."""
    return [codec for codec in RTCRtpSender.getCapabilities("audio").codecs if codec.mimeType == "audio/opus"]

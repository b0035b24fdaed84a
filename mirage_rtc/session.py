"""One call of one person: what they look and sound like, what they may see, and the leg that carries it.

`signaling` calls the methods and listens through `attach`; `registry` makes sessions and ends them. Nothing here
touches pixels: settings go down to the gates and the leg, events go up through the listener.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from mirage_rtc.audit import AuditLog
from mirage_rtc.call_stats import SessionStats
from mirage_rtc.chunk_leg import ChunkMedia
from mirage_rtc.clock import Clock
from mirage_rtc.errors import BadInput, Forbidden
from mirage_rtc.gate import FailPolicy, PictureGate, PictureKind, SoundGate, SoundKind
from mirage_rtc.grants import Grants
from mirage_rtc.identities import IdentityVault
from mirage_rtc.inference import Lane
from mirage_rtc.leg import Leg, LegParts
from mirage_rtc.metrics import Metrics
from mirage_rtc.rtc_leg import Encoding, RtcLeg
from mirage_rtc.session_events import Closed, Notice, SessionEvent, SessionState, StateChanged, Transport
from models import voice_presets
from models.engines import VoiceSettings

Emit = Callable[[SessionEvent], None]

_LOST = {
    "ice_failed": "The media connection could not be made or broke: the page tries again, over TURN or this socket.",
    "peer_silent": "Nothing came from the browser for five seconds: the page connects again by itself.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all sessions of a server share."""

    face_lane: Lane
    voice_lane: Lane
    vault: IdentityVault
    audit: AuditLog
    metrics: Metrics
    encoding: Encoding
    clock: Clock
    fail_policy: FailPolicy
    max_faces: int
    hop_ms: int


class Session:
    """One call."""

    def __init__(self, session_id: str, subject: str, grants: Grants, around: Surroundings) -> None:
        self.id = session_id
        self.subject = subject
        self.grants = grants
        self.opened_s = around.clock()
        self.left_s: float | None = around.clock()
        self._around = around
        self._emit: Emit | None = None
        self._picture: PictureKind | None = None
        self._sound: SoundKind | None = None
        self._picture_gate = PictureGate(policy=around.fail_policy, clock=around.clock, on_kind=self._see)
        self._sound_gate = SoundGate(on_kind=self._hear)
        self._muted_video = False
        self._identity = around.vault.default_id
        self._voice = VoiceSettings()
        self._kinds: dict[str, int] = {}
        self._rtc: RtcLeg | None = None
        self._chunks: ChunkMedia | None = None
        self._legs = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._negotiating = asyncio.Lock()
        self.closed = False

    def attach(self, emit: Emit) -> None:
        """Become the one listener; a former one is told Closed "replaced"."""
        former, self._emit = self._emit, emit
        self.left_s = None
        if former is not None and former is not emit:
            former(Closed(code="replaced", sentence="This call was taken over by another window."))

    def detach(self, emit: Emit) -> None:
        """Stop listening, if `emit` still is the listener."""
        if self._emit == emit:
            self._emit = None
            self.left_s = self._around.clock()

    async def negotiate(self, offer_sdp: str) -> str:
        """Answer an SDP offer on a new peer connection, which replaces the former media. Raises BadInput."""
        async with self._negotiating:
            leg = RtcLeg(self._parts(), encoding=self._around.encoding, on_lost=self._lose)
            try:
                answer = await leg.answer(offer_sdp)
            except BadInput:
                await leg.close()
                raise
            self._replace_leg(rtc=leg)
            return answer

    async def add_candidate(self, candidate: str, sdp_mid: str | None, sdp_m_line_index: int | None) -> None:
        """Take a trickled candidate; ignored while there is no peer connection. Raises BadInput."""
        if self._rtc is not None:
            await self._rtc.add_candidate(candidate, sdp_mid, sdp_m_line_index)

    def open_chunks(self) -> ChunkMedia:
        """Carry the media over the socket from now on."""
        self._replace_leg(chunks=ChunkMedia(self._parts()))
        assert self._chunks is not None
        return self._chunks

    async def wear(self, identity_id: str) -> None:
        """Change the face. Raises NotFound "identity_not_found"; nothing of the former face leaves afterwards."""
        source = self._around.vault.source(self.subject, identity_id)
        self._identity = identity_id
        if self._leg is not None:
            self._leg.wear(source)
        self._around.audit.record("identity", session_id=self.id, identity_id=identity_id)
        self._announce()

    async def set_voice(self, settings: VoiceSettings) -> None:
        """Change the voice. Raises BadInput "voice_unknown" or "voice_too_close"."""
        if settings.preset not in {preset.name for preset in voice_presets.PRESETS}:
            raise BadInput("voice_unknown", "There is no such voice: choose one of those the server listed.")
        try:
            voice_presets.check(settings)
        except ValueError as too_close:
            raise BadInput("voice_too_close", str(too_close)) from None
        self._voice = settings
        if self._leg is not None:
            self._leg.set_voice(settings)
        self._around.audit.record("voice", session_id=self.id, preset=settings.preset)
        self._announce()

    def set_passthrough(self, *, face: bool, voice: bool) -> None:
        """Send the raw picture or voice, or stop it: after this returns no raw one leaves. Raises Forbidden."""
        if (face or voice) and not self.grants.passthrough:
            raise Forbidden("passthrough_not_granted", "This link does not allow your own face or voice to be sent.")
        for gate, wanted in ((self._picture_gate, face), (self._sound_gate, voice)):
            if gate.passthrough != wanted:
                gate.passthrough = wanted
                gate.flush()
        if self._leg is not None:
            self._leg.video.flush()
        self._around.audit.record("passthrough", session_id=self.id, face=face, voice=voice)
        self._announce()

    def set_muted(self, *, audio: bool, video: bool) -> None:
        """Send silence for the voice, the card for the picture."""
        self._sound_gate.muted = audio
        self._muted_video = video
        if self._leg is not None:
            self._leg.video.muted = video
            self._leg.video.flush()
        self._announce()

    def set_badge(self, visible: bool) -> None:
        """Show or hide the "AI" badge. Raises Forbidden "badge_not_granted"."""
        if not visible and not self.grants.badge_off:
            raise Forbidden("badge_not_granted", 'This link does not allow the "AI" badge to be hidden.')
        self._picture_gate.badge = visible
        self._around.audit.record("badge", session_id=self.id, visible=visible)
        self._announce()

    def state(self) -> SessionState:
        """How the call stands."""
        return SessionState(
            identity=self._identity,
            voice=self._voice,
            passthrough_face=self._picture_gate.passthrough,
            passthrough_voice=self._sound_gate.passthrough,
            muted_audio=self._sound_gate.muted,
            muted_video=self._muted_video,
            badge=self._picture_gate.badge,
            picture=self._picture or "waiting",
            sound=self._sound or "waiting",
            face_engine=self._around.face_lane.engine_name,
            face_engine_state=self._around.face_lane.state,
            voice_engine=self._around.voice_lane.engine_name,
            voice_engine_state=self._around.voice_lane.state,
            transport=self._transport(),
        )

    def stats(self) -> SessionStats:
        """The last seconds' figures."""
        leg = self._leg
        if leg is None:
            return SessionStats()
        return SessionStats(
            fps_in=leg.video.arrivals.per_second(),
            fps_out=leg.pictures.per_second(),
            video_ms_p50=leg.video_ms.median(),
            audio_ms_p50=leg.audio_ms.median(),
            skew_ms=leg.skew_ms,
            dropped=leg.video.dropped,
            swapped=self._kinds.get("live", 0),
            frozen=self._kinds.get("frozen", 0),
            cards=self._kinds.get("card", 0),
            hops=leg.audio.hops,
            hops_silent=leg.audio.hops_silent,
            voice_ratio=leg.audio.ratio.median(),
            face_cpu_ms=leg.video.cpu_ms.median(),
        )

    async def close(self, code: str, sentence: str) -> None:
        """End the call and tell the listener. Idempotent."""
        if self.closed:
            return
        self.closed = True
        emit, self._emit = self._emit, None
        self._replace_leg()
        await asyncio.gather(*self._closing, return_exceptions=True)
        self._around.audit.record("session_end", session_id=self.id, code=code)
        if emit is not None:
            emit(Closed(code=code, sentence=sentence))

    def engines_changed(self) -> None:
        """A lane started, broke or came back: the listener should know."""
        self._announce()

    @property
    def _leg(self) -> Leg | None:
        holder = self._rtc or self._chunks
        return holder.leg if holder is not None else None

    def _parts(self) -> LegParts:
        self._legs += 1
        return LegParts(
            call_id=f"{self.id}/{self._legs}",
            face_lane=self._around.face_lane,
            voice_lane=self._around.voice_lane,
            picture_gate=self._picture_gate,
            sound_gate=self._sound_gate,
            identity=self._around.vault.source(self.subject, self._identity),
            voice=self._voice,
            max_faces=self._around.max_faces,
            hop_ms=self._around.hop_ms,
            clock=self._around.clock,
            metrics=self._around.metrics,
        )

    def _replace_leg(self, *, rtc: RtcLeg | None = None, chunks: ChunkMedia | None = None) -> None:
        """Switch to another leg; the former one closes behind our back."""
        for former in (self._rtc, self._chunks):
            if former is not None:
                task = asyncio.get_running_loop().create_task(former.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        self._rtc, self._chunks = rtc, chunks
        self._picture = self._sound = None
        self._picture_gate.flush()
        self._sound_gate.flush()
        if self._leg is not None:
            self._leg.video.muted = self._muted_video
        self._announce()

    def _transport(self) -> Transport:
        if self._rtc is not None:
            return "webrtc"
        return "none" if self._chunks is None else "chunks"

    def _lose(self, code: str) -> None:
        """The peer connection broke: the session waits for another."""
        if self._rtc is None or self.closed:
            return
        self._replace_leg()
        self._tell(Notice(code=code, sentence=_LOST[code], severity="warning"))

    def _see(self, kind: PictureKind) -> None:
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        if kind != self._picture:
            former, self._picture = self._picture, kind
            if "live" in (kind, former):
                event = "swap_in" if kind == "live" else "swap_out"
                self._around.audit.record(event, session_id=self.id, identity_id=self._identity)
            self._announce()

    def _hear(self, kind: SoundKind) -> None:
        if kind != self._sound:
            self._sound = kind
            self._announce()

    def _announce(self) -> None:
        if self._emit is not None and not self.closed:
            self._emit(StateChanged(state=self.state()))

    def _tell(self, event: SessionEvent) -> None:
        if self._emit is not None:
            self._emit(event)

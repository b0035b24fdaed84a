"""One call of one person: who listens to it, the guise in which they appear, and the leg that carries it.

`signaling` calls the methods and listens through `attach`; `registry` makes sessions and ends them. Nothing here
touches pixels: the wishes of the guise go down to the leg, events go up through the listener.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from mirage_rtc import enhancer_wishes, face_mapping
from mirage_rtc.audit import AuditLog
from mirage_rtc.call_stats import SessionStats
from mirage_rtc.chunk_leg import ChunkMedia
from mirage_rtc.clock import Clock
from mirage_rtc.enhancer_news import EnhancerNews
from mirage_rtc.errors import MirageError, NotFound
from mirage_rtc.face_mapping import CallMapping
from mirage_rtc.gate import FailPolicy, PictureKind, SoundKind
from mirage_rtc.grants import Grants
from mirage_rtc.guise import Guise
from mirage_rtc.identities import IdentityVault
from mirage_rtc.inference import Lane
from mirage_rtc.leg import Leg, LegParts
from mirage_rtc.metrics import Metrics
from mirage_rtc.rtc_leg import LOST, Encoding, RtcLeg
from mirage_rtc.session_events import Closed, DegradeWanted, Notice, SessionEvent, SessionState, StateChanged, Transport
from mirage_rtc.shown_picture import ShownPicture
from mirage_rtc.voice_seat import FellBack
from models.engines import Enhancement, EnhancerWish, VoiceSettings
from models.imported_voices import ImportedVoice

logger = logging.getLogger(__name__)

Emit = Callable[[SessionEvent], None]


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
    enhancer: EnhancerWish = EnhancerWish()
    """What a call begins with."""
    imported_voices: Callable[[], Mapping[str, ImportedVoice]] = dict
    """By name, as they are on offer now."""
    on_leg_closed: Callable[[], None] = lambda: None


class Session:
    """One call."""

    def __init__(self, session_id: str, subject: str, grants: Grants, around: Surroundings) -> None:
        self.id = session_id
        self.subject = subject
        self.grants = grants
        self.opened_s = around.clock()
        self.left_s: float | None = around.clock()
        self.closed = False
        self.on_degrade: Callable[[DegradeWanted], None] = lambda _: None
        self._around = around
        self._emit: Emit | None = None
        self._shown = ShownPicture(around.clock)
        self._sound: SoundKind | None = None
        self._guise = Guise(
            subject,
            grants,
            vault=around.vault,
            face_lane=around.face_lane,
            imported_voices=around.imported_voices,
            enhancer=around.enhancer,
            on_change=self._follow,
        )
        self._enhancement = Enhancement()
        self._enhancer_news = EnhancerNews(around.clock)
        self._rtc: RtcLeg | None = None
        self._chunks: ChunkMedia | None = None
        self._legs = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._negotiating = asyncio.Lock()

    def attach(self, emit: Emit) -> None:
        """Become the one listener; a former one is told Closed "replaced"."""
        former, self._emit = self._emit, emit
        self.left_s = None
        if former is not None and former != emit:
            former(Closed(code="replaced", sentence="This call was taken over by another window."))

    def detach(self, emit: Emit) -> None:
        """Stop listening, if `emit` still is the listener."""
        if self._emit == emit:
            self._emit = None
            self.left_s = self._around.clock()

    async def negotiate(self, offer_sdp: str) -> str:
        """Answer an SDP offer on a new peer connection, which replaces the former media. Raises BadInput, NotFound."""
        async with self._negotiating:
            self._require_open()
            leg = RtcLeg(self._parts(), encoding=self._around.encoding, on_lost=self._lose)
            try:
                answer = await leg.answer(offer_sdp)
                self._require_open()
            except BaseException:  # whatever it is, the leg must not outlive it
                self._wind_down(leg)
                raise
            self._replace_leg(rtc=leg)
            return answer

    async def add_candidate(self, candidate: str, sdp_mid: str | None, sdp_m_line_index: int | None) -> None:
        """Take a trickled candidate; ignored while there is no peer connection. Raises BadInput."""
        if self._rtc is not None:
            await self._rtc.add_candidate(candidate, sdp_mid, sdp_m_line_index)

    def open_chunks(self) -> ChunkMedia:
        """Carry the media over the socket from now on. Raises NotFound when the call has ended."""
        self._require_open()
        chunks = ChunkMedia(self._parts())
        self._replace_leg(chunks=chunks)
        return chunks

    async def wear(self, identity_id: str) -> None:
        """Change the face. Raises NotFound "identity_not_found"; nothing of the former face leaves afterwards."""
        self._guise.wear(identity_id)

    async def set_mapping(self, mapping: CallMapping) -> None:
        """Say who of several people wears what. Raises what `face_mapping` does; nothing of before leaves then."""
        self._guise.set_mapping(mapping)

    async def set_voice(self, settings: VoiceSettings) -> None:
        """Change the voice. Raises BadInput "voice_unknown", "voice_too_close" or "voice_control"."""
        self._guise.set_voice(settings)

    def set_passthrough(self, *, face: bool, voice: bool) -> None:
        """Send the raw picture or voice, or stop it: after this returns no raw one leaves. Raises Forbidden."""
        self._guise.set_passthrough(face=face, voice=voice)

    def set_muted(self, *, audio: bool, video: bool) -> None:
        """Send silence for the voice, the card for the picture."""
        self._guise.set_muted(audio=audio, video=video)

    def set_badge(self, visible: bool) -> None:
        """Show or hide the "AI" badge. Raises Forbidden "badge_not_granted"."""
        self._guise.set_badge(visible)

    def set_enhancer(self, wish: EnhancerWish) -> None:
        """Restore the swapped face, or stop it, between two frames. Raises what `enhancer_wishes.require` does."""
        self._guise.set_enhancer(wish)

    def state(self) -> SessionState:
        """How the call stands."""
        wishes, around = self._guise.wishes, self._around
        seat = None if self._leg is None else self._leg.voice
        return SessionState(
            identity=self._guise.identity,
            mapping=self._guise.mapping,
            can_map=around.face_lane.recognises,
            voice=wishes.voice,
            passthrough_face=wishes.passthrough_face,
            passthrough_voice=wishes.passthrough_voice,
            muted_audio=wishes.muted_audio,
            muted_video=wishes.muted_video,
            badge=wishes.badge,
            picture=self._shown.kind or "waiting",
            sound=self._sound or "waiting",
            face_engine=around.face_lane.engine_name,
            face_engine_state=around.face_lane.state,
            voice_engine=(seat and seat.engine) or around.voice_lane.engine_name,
            voice_engine_state=around.voice_lane.state,
            voice_over_budget=seat is not None and seat.over_budget,
            enhancer=enhancer_wishes.state(wishes.enhancer, self._enhancement, around.face_lane.engine_extras),
            voice_preparing=seat is not None and seat.is_preparing,
            transport=self._transport(),
        )

    def stats(self) -> SessionStats:
        """The last seconds' figures."""
        if self._rtc is not None:
            return self._rtc.stats()
        return SessionStats() if self._chunks is None else self._chunks.leg.stats()

    async def close(self, code: str, sentence: str) -> None:
        """End the call and tell the listener. Idempotent."""
        if self.closed:
            return
        self.closed = True
        emit, self._emit = self._emit, None
        self._replace_leg()
        async with self._negotiating:  # an offer that is being answered ends now, and its leg with it
            await asyncio.gather(*self._closing, return_exceptions=True)
        self._around.audit.record("session_end", session_id=self.id, code=code)
        if emit is not None:
            emit(Closed(code=code, sentence=sentence))

    def engines_changed(self) -> None:
        """A lane started, broke or came back: the listener should know."""
        if self._guise.turned_blind():
            self._notice(face_mapping.blind())
        self._announce()

    def lose_identity(self, identity_id: str) -> None:
        """An identity was removed: nobody wears it or is recognised by it any more, and who was is covered."""
        if self._guise.lose_identity(identity_id):
            self._notice(face_mapping.shrunk())

    @property
    def _leg(self) -> Leg | None:
        holder = self._rtc or self._chunks
        return holder.leg if holder is not None else None

    def _require_open(self) -> None:
        if self.closed:
            raise NotFound("session_not_found", "This call has ended: open a new link.")

    def _fall_back(self, call_id: str, fell: FellBack) -> None:
        """The leg in use gave an imported voice up: the embedded one is what is worn from here on."""
        if self._leg is None or self._leg.call_id != call_id or self.closed:
            return
        around = self._around
        around.metrics.voice.fallbacks.labels(fell.reason).inc()
        logger.warning("an imported voice was given up", extra={"reason": fell.reason, "code": fell.code})
        self._guise.lose_voice(fell.to)
        around.audit.record("voice_fallback", session_id=self.id, code=fell.code, preset=fell.to.preset)
        if self._emit is not None:
            self._emit(Notice(code=fell.code, sentence=fell.sentence, severity="warning"))
        self._announce()

    def _notice(self, error: MirageError) -> None:
        if self._emit is not None:
            self._emit(Notice(code=error.code, sentence=error.sentence, severity="warning"))

    def _follow(self, event: str, fields: dict[str, Any]) -> None:
        """Take a changed guise down to the leg, into the audit log and to the listener."""
        if self._leg is not None:
            self._leg.apply(self._guise.wishes)
        self._around.audit.record(event, session_id=self.id, **fields)
        self._announce()

    def _parts(self) -> LegParts:
        self._legs += 1
        around, call_id = self._around, f"{self.id}/{self._legs}"
        return LegParts(
            call_id=call_id,
            face_lane=around.face_lane,
            voice_lane=around.voice_lane,
            wishes=self._guise.renewed(),
            fail_policy=around.fail_policy,
            max_faces=around.max_faces,
            hop_ms=around.hop_ms,
            clock=around.clock,
            metrics=around.metrics,
            on_picture=self._see,
            on_face_unable=self._notice,
            on_sound=self._hear,
            on_voice=self._announce,
            on_fallback=partial(self._fall_back, call_id),
            on_enhancement=self._note_enhancement,
            on_degrade=self._ask_for_less,
        )

    def _replace_leg(self, *, rtc: RtcLeg | None = None, chunks: ChunkMedia | None = None) -> None:
        """Switch to another leg, with the wishes of now; the former one lets nothing through from here on."""
        former = self._rtc or self._chunks
        self._rtc, self._chunks = rtc, chunks
        self._shown, self._sound = ShownPicture(self._around.clock), None
        self._enhancement = Enhancement()
        if former is not None:
            self._wind_down(former)
        if self._leg is not None:
            self._leg.apply(self._guise.wishes)
        self._announce()

    def _wind_down(self, former: RtcLeg | ChunkMedia) -> None:
        """Shut a leg at once and let it close behind our back."""
        former.leg.shut()
        task = asyncio.get_running_loop().create_task(former.close())
        self._closing.add(task)
        task.add_done_callback(self._note_closed)

    def _note_closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        self._around.on_leg_closed()

    def _transport(self) -> Transport:
        if self._rtc is not None:
            return "webrtc"
        return "none" if self._chunks is None else "chunks"

    def _lose(self, lost: RtcLeg, code: str) -> None:
        """A peer connection broke: the session waits for another."""
        if self._rtc is not lost or self.closed:
            return
        self._replace_leg()
        if self._emit is not None:
            self._emit(Notice(code=code, sentence=LOST[code], severity="warning"))

    def _see(self, kind: PictureKind) -> None:
        self._tell_of_enhancer()
        former = self._shown.kind
        if not self._shown.note(kind, passing=self._guise.wishes.passthrough_face):
            return
        if "live" in (self._shown.kind, former):
            event = "swap_out" if former == "live" else "swap_in"
            self._around.audit.record(event, session_id=self.id, identity_id=self._guise.identity)
        self._announce()

    def _note_enhancement(self, enhancement: Enhancement) -> None:
        self._enhancement = enhancement
        self._announce()

    def _tell_of_enhancer(self) -> None:
        if self._emit is None:
            return
        notice = self._enhancer_news.due(self._guise.wishes.enhancer, self._enhancement)
        if notice is not None:
            self._emit(notice)

    def _hear(self, kind: SoundKind) -> None:
        if kind != self._sound:
            self._sound = kind
            self._announce()

    def _ask_for_less(self, audio_lead_ms: float) -> None:
        self._around.metrics.degrades_wanted.inc()
        self.on_degrade(DegradeWanted(audio_lead_ms=audio_lead_ms))

    def _announce(self) -> None:
        if self._emit is not None and not self.closed:
            self._emit(StateChanged(state=self.state()))

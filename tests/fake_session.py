"""A scripted call and a scripted set of calls: the Protocols of `signaling.calls`, with no media behind them.

The wire's tests use it where a test is about the wire: it records what it was asked, refuses what a real session
refuses, and converts "media" visibly (sound is negated, pictures are inverted).
"""

import asyncio
import itertools
from collections.abc import Mapping

import msgspec
import numpy as np

from mirage_rtc import enhancer_wishes, face_mapping
from mirage_rtc.call_stats import SessionStats
from mirage_rtc.chunk_leg import ChunkOut
from mirage_rtc.errors import BadInput, Forbidden, NotFound, TooMany, Unavailable
from mirage_rtc.face_mapping import CallMapping
from mirage_rtc.grants import Grants
from mirage_rtc.session_events import Closed, EnhancerState, Notice, SessionEvent, SessionState, StateChanged
from models.engines import EnhancerWish, Frame, Samples, VoiceProfile, VoiceSettings
from models.imported_voices import ImportedVoice
from signaling.calls import Emit
from signaling.protocol import Engines

IDENTITIES = ("mask:one", "mask:two")
VOICES = ("disguise", "lower", "custom")


class FakeLine:
    """Chunk media that comes straight back, altered."""

    def __init__(self) -> None:
        self.sounds: list[tuple[int, int]] = []
        self.pictures: list[tuple[tuple[int, ...], int]] = []
        self.closed = False
        self.generation = 0
        self._out: asyncio.Queue[ChunkOut | None] = asyncio.Queue()

    def push_sound(self, samples: Samples, *, capture_us: int) -> None:
        self.sounds.append((len(samples), capture_us))
        self._out.put_nowait(
            ChunkOut(kind="sound", samples=-samples, capture_us=capture_us, generation=self.generation)
        )

    def push_picture(self, frame: Frame, *, capture_us: int) -> None:
        self.pictures.append((frame.shape, capture_us))
        self._out.put_nowait(
            ChunkOut(kind="picture", frame=np.subtract(255, frame), capture_us=capture_us, generation=self.generation)
        )

    def is_stale(self, out: ChunkOut) -> bool:
        return out.generation != self.generation

    async def next(self) -> ChunkOut:
        media = await self._out.get()
        if media is None:
            raise Unavailable("chunks_closed", "The media moved to another connection; go on there.")
        return media

    async def close(self) -> None:
        self.closed = True
        self._out.put_nowait(None)


class FakeCall:
    """One scripted session."""

    def __init__(self, calls: "FakeCalls", session_id: str, subject: str, grants: Grants) -> None:
        self.id = session_id
        self.subject = subject
        self.grants = grants
        self.asked: list[tuple[object, ...]] = []
        self.line: FakeLine | None = None
        self.chunks_opened = asyncio.Event()
        self._calls = calls
        self._emit: Emit | None = None
        self._state = SessionState(
            identity=IDENTITIES[0],
            can_map=True,
            voice=VoiceSettings(),
            passthrough_face=False,
            passthrough_voice=False,
            muted_audio=False,
            muted_video=False,
            badge=True,
            picture="waiting",
            sound="waiting",
            face_engine="mesh",
            face_engine_state="ready",
            voice_engine="world",
            voice_engine_state="ready",
            transport="none",
        )

    def attach(self, emit: Emit) -> None:
        former, self._emit = self._emit, emit
        if former is not None:
            former(Closed(code="replaced", sentence="This call was opened in another place."))

    def detach(self, emit: Emit) -> None:
        if self._emit is emit:
            self._emit = None

    @property
    def attached(self) -> bool:
        return self._emit is not None

    def emit(self, event: SessionEvent) -> None:
        if self._emit is not None:
            self._emit(event)

    async def negotiate(self, offer_sdp: str) -> str:
        if not offer_sdp.startswith("v=0"):
            raise BadInput("offer_bad", "This offer is not SDP. Offer again.")
        if "raise" in offer_sdp:
            raise RuntimeError("a fault that quotes 192.0.2.1")
        self.asked.append(("negotiate", offer_sdp))
        self.change(transport="webrtc")
        return "v=0\r\ns=answer\r\n"

    async def add_candidate(self, candidate: str, sdp_mid: str | None, sdp_m_line_index: int | None) -> None:
        self.asked.append(("add_candidate", candidate, sdp_mid, sdp_m_line_index))

    async def wear(self, identity_id: str) -> None:
        if identity_id not in IDENTITIES and not identity_id.startswith("portrait:"):
            raise NotFound("identity_not_found", "There is no such identity: choose another from the gallery.")
        self.change(identity=identity_id)

    async def set_mapping(self, mapping: CallMapping) -> None:
        face_mapping.require_allowed(mapping, recognises=True, granted=self.grants.passthrough)
        self.change(mapping=mapping)

    async def set_voice(self, settings: VoiceSettings) -> None:
        if settings.preset not in VOICES:
            raise BadInput("voice_unknown", "There is no such voice: choose another.")
        self.change(voice=settings)

    def set_passthrough(self, *, face: bool, voice: bool) -> None:
        if (face or voice) and not self.grants.passthrough:
            raise Forbidden("passthrough_not_granted", "This link does not allow your own face or voice to be sent.")
        self.change(passthrough_face=face, passthrough_voice=voice)

    def set_muted(self, *, audio: bool, video: bool) -> None:
        self.change(muted_audio=audio, muted_video=video)

    def set_enhancer(self, wish: EnhancerWish) -> None:
        enhancer_wishes.require(wish, ("gpen-256",))
        asked = EnhancerState(mode=wish.mode, model=wish.model, fidelity=wish.fidelity, offers=("gpen-256",))
        self.change(enhancer=asked)

    def set_badge(self, visible: bool) -> None:
        if not visible and not self.grants.badge_off:
            raise Forbidden("badge_not_granted", "This link does not allow the badge to be hidden.")
        self.change(badge=visible)

    def state(self) -> SessionState:
        return self._state

    def stats(self) -> SessionStats:
        return SessionStats(fps_in=30.0, fps_out=24.0, swapped=7)

    def open_chunks(self) -> FakeLine:
        self.line = FakeLine()
        self.chunks_opened.set()
        self.change(transport="chunks")
        return self.line

    async def close(self, code: str, sentence: str) -> None:
        self.asked.append(("close", code))
        self._calls.sessions_by_id.pop(self.id, None)
        self.emit(Closed(code=code, sentence=sentence))

    def notice(self, code: str, sentence: str) -> None:
        self.emit(Notice(code=code, sentence=sentence, severity="warning"))

    def change(self, **fields: object) -> None:
        self._state = msgspec.structs.replace(self._state, **fields)
        self.emit(StateChanged(state=self._state))


class FakeCalls:
    """A scripted registry of `capacity` calls."""

    def __init__(self, capacity: int = 4) -> None:
        self.capacity = capacity
        self.ready = True
        self.measured: list[tuple[int, int]] = []
        self.imported: dict[str, ImportedVoice] = {}
        self.sessions_by_id: dict[str, FakeCall] = {}
        self._numbers = itertools.count(1)

    @property
    def sessions(self) -> Mapping[str, FakeCall]:
        return self.sessions_by_id

    async def admit(self, *, subject: str, grants: Grants) -> FakeCall:
        await asyncio.sleep(0)
        if len(self.sessions_by_id) >= self.capacity:
            raise TooMany("at_capacity", "All calls are taken. Try again in a few minutes.")
        call = FakeCall(self, f"session-{next(self._numbers)}", subject, grants)
        self.sessions_by_id[call.id] = call
        return call

    def get(self, session_id: str) -> FakeCall:
        call = self.sessions_by_id.get(session_id)
        if call is None:
            raise NotFound("session_not_found", "There is no such session.")
        return call

    def engines(self) -> Engines:
        state = "ready" if self.ready else "starting"
        return msgspec.convert(
            {
                "face_name": "mesh",
                "face_state": state,
                "voice_name": "world",
                "voice_state": state,
                "ready": self.ready,
            },
            Engines,
        )

    def imported_voices(self) -> Mapping[str, ImportedVoice]:
        return self.imported

    async def measure_voice(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        self.measured.append((len(clip), sample_rate_hz))
        if not np.any(clip):
            raise BadInput("clip_unusable", "No speech was found in this clip. Record it again, closer.")
        return VoiceProfile(values={"f0_hz": 120.0})

    async def close(self) -> None:
        for call in list(self.sessions_by_id.values()):
            await call.close("draining", "The server is stopping.")

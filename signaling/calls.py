"""What signalling asks of a call and of the set of calls: the Protocols that `mirage_rtc.session` and `registry` meet.

Everything else in `signaling` talks to media through these, so a scripted call in the tests and the real one are the
same to it.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from mirage_rtc.call_stats import SessionStats
from mirage_rtc.chunk_leg import ChunkOut
from mirage_rtc.face_mapping import CallMapping
from mirage_rtc.grants import Grants
from mirage_rtc.session_events import SessionEvent, SessionState
from models.engines import EnhancerWish, Frame, Samples, VoiceProfile, VoiceSettings
from models.imported_voices import ImportedVoice
from signaling.protocol import EngineState

Emit = Callable[[SessionEvent], None]


class ChunkLine(Protocol):
    """The media of one call over the WebSocket fallback."""

    def push_sound(self, samples: Samples, *, capture_us: int) -> None:
        """Hand in 16 kHz mono float32."""

    def push_picture(self, frame: Frame, *, capture_us: int) -> None:
        """Hand in a BGR picture; the newest wins."""

    async def next(self) -> ChunkOut:
        """Wait for the next piece that may be sent; raises Unavailable after `close`."""

    def is_stale(self, out: ChunkOut) -> bool:
        """Whether a piece may no longer be sent; asked again just before sending."""

    async def close(self) -> None:
        """End the media; idempotent."""


class Call(Protocol):
    """One session."""

    @property
    def id(self) -> str:
        """Opaque, unguessable."""

    @property
    def subject(self) -> str:
        """Who the link was made for."""

    @property
    def grants(self) -> Grants:
        """What the link allows."""

    def attach(self, emit: Emit) -> None:
        """Become the one listener; the former one gets Closed with code `replaced`."""

    def detach(self, emit: Emit) -> None:
        """Stop listening, if `emit` is the listener."""

    async def negotiate(self, offer_sdp: str) -> str:
        """Answer an SDP offer; raises BadInput `offer_bad`."""

    async def add_candidate(self, candidate: str, sdp_mid: str | None, sdp_m_line_index: int | None) -> None:
        """Take a trickled candidate; an empty one means no more."""

    async def wear(self, identity_id: str) -> None:
        """Raises NotFound `identity_not_found`."""

    async def set_mapping(self, mapping: CallMapping) -> None:
        """Raises what `mirage_rtc.face_mapping` raises."""

    async def set_voice(self, settings: VoiceSettings) -> None:
        """Raises BadInput `voice_unknown`."""

    def set_passthrough(self, *, face: bool, voice: bool) -> None:
        """Raises Forbidden `passthrough_not_granted`."""

    def set_muted(self, *, audio: bool, video: bool) -> None:
        """Mute either direction of capture."""

    def set_enhancer(self, wish: EnhancerWish) -> None:
        """Raises Unavailable `enhancer_missing`, BadInput `enhancer_unknown`."""

    def set_badge(self, visible: bool) -> None:
        """Raises Forbidden `badge_not_granted`."""

    def state(self) -> SessionState:
        """How the call stands."""

    def stats(self) -> SessionStats:
        """The figures of the last second."""

    def open_chunks(self) -> ChunkLine:
        """Carry the media over the socket from now on."""

    async def close(self, code: str, sentence: str) -> None:
        """End the call; idempotent."""


class EngineStates(Protocol):
    """Which engine runs each stage of this server, and how it is."""

    @property
    def face_name(self) -> str: ...
    @property
    def face_state(self) -> EngineState: ...
    @property
    def voice_name(self) -> str: ...
    @property
    def voice_state(self) -> EngineState: ...
    @property
    def voice_why(self) -> str: ...
    @property
    def ready(self) -> bool: ...


class Calls(Protocol):
    """All sessions of this process."""

    @property
    def sessions(self) -> Mapping[str, Call]:
        """Live sessions by id."""

    async def admit(self, *, subject: str, grants: Grants) -> Call:
        """Open a session; raises TooMany `at_capacity` or Unavailable `draining`."""

    def get(self, session_id: str) -> Call:
        """Raises NotFound `session_not_found`."""

    def engines(self) -> EngineStates:
        """Which engines run, and how they are."""

    def imported_voices(self) -> Mapping[str, ImportedVoice]:
        """Imported voices that can be worn now, by name."""

    async def measure_voice(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """Measure a reference clip; raises BadInput `clip_unusable`."""

    async def close(self) -> None:
        """End every session."""

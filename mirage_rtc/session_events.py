"""What a session tells whoever listens to it, and what it says of itself. Turned into messages by `signaling`."""

from typing import Literal

import msgspec

from mirage_rtc.face_mapping import CallMapping
from models.engines import EnhancerMode, EnhancerName, EnhancerPause, VoiceSettings

Severity = Literal["info", "warning", "error"]
Transport = Literal["none", "webrtc", "chunks"]


class EnhancerState(msgspec.Struct, frozen=True, kw_only=True):
    """What a call wishes of the face enhancer; `running` works on each `every`th frame, "" and 0 when none does.

    `paused` is why not: no time, off after failures, not believed on these faces, not open yet. `offers` are the names
    that this server has.
    """

    mode: EnhancerMode = "off"
    model: EnhancerName | None = None
    fidelity: float = 0.75
    running: str = ""
    every: int = 0
    paused: EnhancerPause = ""
    offers: tuple[str, ...] = ()


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """How a call stands."""

    identity: str
    mapping: CallMapping = CallMapping()
    can_map: bool = False
    """Whether the face engine of now tells people apart."""
    voice: VoiceSettings
    passthrough_face: bool
    passthrough_voice: bool
    muted_audio: bool
    muted_video: bool
    badge: bool
    picture: Literal["waiting", "live", "frozen", "card", "passthrough"]
    sound: Literal["waiting", "live", "silent", "passthrough"]
    face_engine: str
    face_engine_state: str
    voice_engine: str
    voice_engine_state: str
    voice_over_budget: bool = False
    """An imported voice's hops are so long that the call takes over 250 ms."""
    enhancer: EnhancerState = EnhancerState()
    voice_preparing: bool = False
    """The voice that was chosen is being loaded; another one speaks."""
    transport: Transport


class StateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """The state is another now."""

    state: SessionState


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should know."""

    code: str
    sentence: str
    severity: Severity = "info"


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """The session, or this listener's hold of it, ended."""

    code: str
    sentence: str


class DegradeWanted(msgspec.Struct, frozen=True, kw_only=True):
    """The audio leads the pictures by more than 150 ms: less video is wanted. For adaptation, not for the listener."""

    audio_lead_ms: float


SessionEvent = StateChanged | Notice | Closed

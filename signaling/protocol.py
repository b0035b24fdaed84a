"""Every message of the signalling socket, both directions, once: a msgspec tagged union in JSON text frames.

`peer_socket.py` decodes and encodes with it, and `page_types.py` writes the page's types from it. Binary frames are
`chunk_frame.py`'s, who wears what is `mapping_message.py`'s. The tag is the field `type`; a field that is not listed
here is refused.
"""

from typing import Annotated, Literal

import msgspec

from mirage_rtc.capture_marks import CaptureMark
from mirage_rtc.errors import BadInput
from mirage_rtc.session_events import EnhancerState
from signaling.chunk_frame import CHUNK_RATE_HZ, CHUNK_SAMPLES, CHUNK_SAMPLES_MAX
from signaling.enhancer_message import SetEnhancer
from signaling.mapping_message import MappingChoice, SetMapping

VERSION = 1
SUBPROTOCOL = "mirage.v1"
TOKEN_SUBPROTOCOL_PREFIX = "bearer."

UNREADABLE = (msgspec.DecodeError, RecursionError)
"""What msgspec raises on hostile JSON: the second one for a thousand brackets in a row."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=600_000)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

Picture = Literal["waiting", "live", "frozen", "card", "passthrough"]
Sound = Literal["waiting", "live", "silent", "passthrough"]
Transport = Literal["none", "webrtc", "chunks"]
EngineState = Literal["starting", "ready", "restarting", "failed", "closed"]
Severity = Literal["info", "warning", "error"]


class Hello(msgspec.Struct, tag="hello", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """First message of a client: the protocol version it speaks. The server answers `welcome`."""

    version: int


class Offer(msgspec.Struct, tag="offer", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An SDP offer; a second one replaces the media connection of the same session. Answered by `answer`."""

    sdp: str


class Candidate(msgspec.Struct, tag="candidate", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One trickled ICE candidate of the client; an empty `candidate` means that there are no more."""

    candidate: Annotated[str, msgspec.Meta(max_length=1024)]
    sdp_mid: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    sdp_m_line_index: Annotated[int, msgspec.Meta(ge=0, le=64)] | None = None


class SetIdentity(msgspec.Struct, tag="set_identity", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Wear another face: the `id` of one of the identities in `welcome` or of an upload since."""

    identity: Name


class VoiceChoice(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How the voice is to sound; `reference` is what `POST /v1/voices/reference` returned."""

    preset: Name = "disguise"
    pitch_semitones: Annotated[float, msgspec.Meta(ge=-24, le=24)] = 0.0
    formant_ratio: Annotated[float, msgspec.Meta(ge=0.5, le=2)] = 1.0
    breath: Share = 0.0
    reference: Name | None = None
    index_rate: Share = 0.0
    protect: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.33
    input_gain_db: Annotated[float, msgspec.Meta(ge=-20, le=20)] = 0.0
    gate_db: Annotated[float, msgspec.Meta(ge=-90, le=-20)] | None = None
    denoise: bool = False
    auto_pitch: bool = False


class SetVoice(VoiceChoice, tag="set_voice", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Sound like this from the next hop on."""


class SetPassthrough(msgspec.Struct, tag="set_passthrough", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Send the caller's own face or voice, untouched. Needs the grant `passthrough`."""

    face: bool
    voice: bool


class SetMuted(msgspec.Struct, tag="set_muted", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Send silence or the card instead of sound or picture."""

    audio: bool
    video: bool


class SetBadge(msgspec.Struct, tag="set_badge", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Show or hide the visible "AI" badge. Hiding it needs the grant `badge_off`."""

    visible: bool


class StartChunks(msgspec.Struct, tag="start_chunks", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Carry the media on this socket from now on (ICE failed); ends the session's WebRTC media."""


class Report(msgspec.Struct, tag="report", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What the page measured in the last second; every field may be null."""

    rtt_ms: Milliseconds | None = None
    jitter_video_ms: Milliseconds | None = None
    jitter_audio_ms: Milliseconds | None = None
    glass_ms: Milliseconds | None = None
    mouth_ms: Milliseconds | None = None
    fps_shown: Annotated[float, msgspec.Meta(ge=0, le=1000)] | None = None
    frames_dropped: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Ping(msgspec.Struct, tag="ping", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Answered by `pong` with the same `sent_ms`; for round-trip time and the clock offset."""

    sent_ms: float


class Bye(msgspec.Struct, tag="bye", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """End the session now; its resume token dies with it."""


ClientMessage = (
    Hello
    | Offer
    | Candidate
    | SetIdentity
    | SetMapping
    | SetVoice
    | SetPassthrough
    | SetMuted
    | SetBadge
    | SetEnhancer
    | StartChunks
    | Report
    | Ping
    | Bye
)


class IceServer(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of RTCConfiguration.iceServers."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


class IdentityChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A face that can be worn; its picture is at `/v1/identities/{id}/thumbnail` (percent-encode the id)."""

    id: str
    kind: Literal["mask", "portrait"]
    title: str
    description: str
    receipt_id: str | None = None


class VoicePreset(msgspec.Struct, frozen=True, kw_only=True):
    """A voice that can be chosen by `name`; that of an imported one begins with "rvc:"."""

    name: str
    title: str
    description: str
    kind: Literal["embedded", "imported"] = "embedded"


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """What the link's token allows beyond the call itself."""

    passthrough: bool
    badge_off: bool
    enroll: bool
    max_call_s: int | None = None


class Engines(msgspec.Struct, frozen=True, kw_only=True):
    """Which engine runs each stage on this server, and how it is; `voice_why`: what became of imported voices."""

    face_name: str
    face_state: EngineState
    voice_name: str
    voice_state: EngineState
    voice_why: str = ""
    ready: bool


class CallState(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent out for this session right now. It `can_map` when the face engine tells people apart.

    `voice_engine` is the one that speaks. While `voice_preparing` it is not yet that of the chosen voice. With
    `voice_over_budget` the voice is so slow that the call takes over 250 ms from mouth to ear.
    """

    identity: str
    mapping: MappingChoice
    can_map: bool
    voice: VoiceChoice
    passthrough_face: bool
    passthrough_voice: bool
    muted_audio: bool
    muted_video: bool
    badge: bool
    enhancer: EnhancerState
    picture: Picture
    sound: Sound
    face_engine: str
    voice_engine: str
    voice_over_budget: bool = False
    voice_preparing: bool = False
    transport: Transport


class CallLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the server refuses to take more of."""

    sdp_bytes: int
    message_bytes: int
    candidates: int
    messages_per_s: float
    bytes_per_s: float
    picture_bytes: int
    picture_px: int
    upload_bytes: int
    chunk_rate_hz: int = CHUNK_RATE_HZ
    chunk_samples: int = CHUNK_SAMPLES
    chunk_samples_max: int = CHUNK_SAMPLES_MAX


class Welcome(msgspec.Struct, tag="welcome", frozen=True, kw_only=True):
    """The answer to `hello`. `resume_token` re-enters this session for `resume_grace_s` after a lost socket."""

    version: int
    session_id: str
    resume_token: str
    resume_grace_s: float
    ice_servers: tuple[IceServer, ...]
    identities: tuple[IdentityChoice, ...]
    voices: tuple[VoicePreset, ...]
    grants: Granted
    state: CallState
    engines: Engines
    limits: CallLimits
    server_version: str


class Answer(msgspec.Struct, tag="answer", frozen=True, kw_only=True):
    """The SDP answer; all of the server's candidates are in it."""

    sdp: str


class State(CallState, tag="state", frozen=True, kw_only=True):
    """Sent after every change, of an engine's state too."""

    engines: Engines


class Stats(msgspec.Struct, tag="stats", frozen=True, kw_only=True):
    """Once a second. Rates are per second, counts since the session began, latencies in ms inside the server.

    The marks (WebRTC, once the client's sender reports came) let the client measure the whole way back to itself;
    `reports_ahead_ms` is how far `server_ms` of `pong` is ahead of those reports' Unix clock, the network included.
    """

    fps_in: float
    fps_out: float
    video_ms_p50: float
    audio_ms_p50: float
    skew_ms: float
    dropped: int
    swapped: int
    frozen: int
    cards: int
    hops: int
    hops_silent: int
    voice_ratio: float
    voice_hop_ms: int = 0
    voice_accept_ratio: float = 1.0
    voice_over_budget: bool = False
    face_cpu_ms: float
    video_mark: CaptureMark | None = None
    audio_mark: CaptureMark | None = None
    reports_ahead_ms: float | None = None


class Notice(msgspec.Struct, tag="notice", frozen=True, kw_only=True):
    """Something the person should know; the call goes on."""

    code: str
    sentence: str
    severity: Severity


class Failure(msgspec.Struct, tag="error", frozen=True, kw_only=True):
    """A message was refused; `about` is its type ("chunk" for a binary frame). The call goes on."""

    code: str
    sentence: str
    retryable: bool
    about: str | None = None


class Pong(msgspec.Struct, tag="pong", frozen=True, kw_only=True):
    """`server_ms` is the server's monotonic clock."""

    sent_ms: float
    server_ms: float


class Closing(msgspec.Struct, tag="closing", frozen=True, kw_only=True):
    """Last message before the server closes the socket. After `replaced` and `bye` do not reconnect."""

    code: str
    sentence: str


ServerMessage = Welcome | Answer | State | Stats | Notice | Failure | Pong | Closing


_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_encoder = msgspec.json.Encoder()


class _Tag(msgspec.Struct):
    type: str


_tag_decoder = msgspec.json.Decoder(_Tag)


def decode(text: str | bytes) -> ClientMessage:
    """Read a client's message; raises BadInput `message_bad` that names the field."""
    try:
        return _decoder.decode(text)
    except UNREADABLE as error:
        raise BadInput(
            "message_bad", f"This message cannot be read: {error}. Compare it with protocol version {VERSION}."
        ) from error


def tag_of(text: str | bytes) -> str | None:
    """The `type` of a message that may be refused, or None when even that cannot be read."""
    try:
        return _tag_decoder.decode(text).type[:32]
    except UNREADABLE:
        return None


def encode(message: ServerMessage) -> str:
    """Write a server's message as a JSON text frame."""
    return _encoder.encode(message).decode()

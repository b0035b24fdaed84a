"""What the HTTP side answers with, as JSON; messages of the socket are `protocol.py`'s. `page_types.py` reads both."""

import msgspec

from signaling.protocol import CallState, IdentityChoice, VoiceChoice


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every HTTP error."""

    code: str
    sentence: str
    retryable: bool


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `POST /v1/sessions`."""

    session_id: str
    resume_token: str
    resume_grace_s: float
    signal_url: str


class Gallery(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `GET /v1/identities`; the answer to `POST /v1/identities` is one `IdentityChoice`."""

    identities: tuple[IdentityChoice, ...]


class VoiceReference(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `POST /v1/voices/reference`; `reference` goes into `set_voice`."""

    reference: str
    title: str


class SavedVoice(msgspec.Struct, frozen=True, kw_only=True):
    """A voice that one saved; the answer to `PUT /v1/voices/presets/{name}`."""

    name: str
    voice: VoiceChoice


class SavedVoices(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `GET /v1/voices/presets`."""

    presets: tuple[SavedVoice, ...]


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `GET /v1/sessions/{id}`."""

    session_id: str
    state: CallState

"""What request handlers share, as one value under one AppKey. `app.build_app` makes it; handlers read it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry

from mirage_rtc.config import Config
from mirage_rtc.identities import IdentityVault
from signaling.admission import Door
from signaling.calls import Call, Calls
from signaling.limits import InvalidWindow, KeyedBuckets, Limits
from signaling.protocol import VoicePreset
from signaling.saved_voices import SavedVoices
from signaling.tickets import Tickets
from signaling.voice_references import VoiceReferences
from signaling.wire_metrics import WireMetrics


class OpenSocket(Protocol):
    """A signalling socket that can be told to close."""

    def leave(self, code: str, sentence: str) -> None:
        """Send `closing` and close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a handler may need; nothing here is global."""

    config: Config
    calls: Calls
    vault: IdentityVault
    voices: tuple[VoicePreset, ...]
    door: Door
    tickets: Tickets
    references: VoiceReferences
    saved: SavedVoices
    limits: Limits
    joins_by_address: KeyedBuckets
    uploads_by_subject: KeyedBuckets
    saved_by_subject: KeyedBuckets
    metrics: WireMetrics
    prometheus: CollectorRegistry
    clock_s: Callable[[], float]
    monotonic_s: Callable[[], float]
    sockets: set[OpenSocket] = field(default_factory=set)
    windows: dict[str, InvalidWindow] = field(default_factory=dict)

    def window(self, call: Call) -> InvalidWindow:
        """The anomaly window of a session; it survives a reconnect."""
        return self.windows.setdefault(call.id, InvalidWindow())

    def sweep(self) -> None:
        """Forget what belongs to sessions that ended."""
        live = self.calls.sessions
        self.tickets.keep(live.keys())
        self.references.keep({call.subject for call in live.values()})
        for session_id in self.windows.keys() - live.keys():
            del self.windows[session_id]


SERVICES = web.AppKey("services", Services)

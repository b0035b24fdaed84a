"""A registry with the real engines, or faulty ones around them, and a session to call. Used by `test_leaks`."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mirage_rtc import rtc_leg
from mirage_rtc.audit import AuditLog
from mirage_rtc.config import load
from mirage_rtc.consent import ConsentLedger
from mirage_rtc.grants import Grants
from mirage_rtc.identities import IdentityVault
from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.metrics import Metrics
from mirage_rtc.registry import Registry
from mirage_rtc.session import Session
from mirage_rtc.session_events import SessionEvent
from models import mask_art
from models.engines import Samples
from tests.media import Clip
from tests.model_store import model_store
from tests.peers import Peer, only_loopback

PATIENCE_S = 240.0
"""A busy machine may take so long to show some pictures."""
MESH = "models.mesh_face_engine:MeshFaceEngine"
WORLD = "models.world_voice_engine:WorldVoiceEngine"


def face_lane(**faults: int) -> LaneSpec:
    """The embedded face engine, with `tests.fakes` faults around it when some are given."""
    arguments: dict[str, Any] = {"store_root": str(model_store().root)}
    engine = MESH
    if faults:
        engine, arguments = "tests.fakes:FaultyFaceEngine", arguments | {"inner": MESH} | faults
    return LaneSpec(engine=engine, pipeline="mirage_rtc.swap_pipeline:SwapPipeline", arguments=arguments)


def voice_lane(**faults: int) -> LaneSpec:
    """The embedded voice engine, with faults around it when some are given."""
    engine, arguments = WORLD, dict[str, Any]()
    if faults:
        engine, arguments = "tests.fakes:FaultyVoiceEngine", {"inner": WORLD} | faults
    return LaneSpec(engine=engine, pipeline="mirage_rtc.voice_pipeline:VoicePipeline", arguments=arguments)


@dataclass(kw_only=True)
class LiveCall:
    """One call in progress and what its session said."""

    session: Session
    peer: Peer
    events: list[SessionEvent] = field(default_factory=list)

    async def until_swapped(self, more: int) -> None:
        """Wait until so many swapped pictures more were let through."""
        await self._until(lambda: self.session.stats().swapped, more)

    async def until_left(self, kind: Literal["live", "passthrough"], more: int) -> None:
        """Wait until so many more were handed to the encoder: on a busy machine some are too late for their voice."""
        await self._until(lambda: int(self.session._around.metrics.pictures_out.labels(kind)._value.get()), more)

    def left(self) -> int:
        """How many pictures were handed to the encoder so far: no later one is among the first so many received."""
        pictures_out = self.session._around.metrics.pictures_out
        return int(sum(pictures_out.labels(kind)._value.get() for kind in ("live", "frozen", "card", "passthrough")))

    def sound_on_its_way_s(self) -> float:
        """How much of the sound that was sent is not received yet; a machine with time has none."""
        assert self.session._rtc is not None
        sent = self.session._rtc._senders["audio"]._upstream._RTCRtpSender__packet_count
        return 0.02 * max(0, int(sent) - len(self.peer._heard))

    async def _until(self, count: Callable[[], int], more: int) -> None:
        wanted, ends_s = count() + more, time.monotonic() + PATIENCE_S
        while count() < wanted:
            state = self.session.state()
            assert time.monotonic() < ends_s, (count(), wanted, state.transport, self.session.stats(), self.events[-3:])
            await asyncio.sleep(0.05)


@asynccontextmanager
async def live_call(
    data_dir: Path, clip: Clip, voice: Samples, *, face: LaneSpec, sound: LaneSpec, **settings: str
) -> AsyncIterator[LiveCall]:
    """Place a call to a registry of its own; `settings` are MIRAGE_* fields in lower case."""
    environ = {f"MIRAGE_{name.upper()}": value for name, value in settings.items()}
    config = load(None, environ | {"MIRAGE_DATA_DIR": str(data_dir)})
    with AuditLog(data_dir / "audit.jsonl") as audit, only_loopback(), _time_to_connect():
        registry = Registry(config, face=face, voice=sound, audit=audit, metrics=Metrics())
        await registry.start(_vault(data_dir, registry))
        try:
            session = await registry.admit(subject="tester", grants=Grants(passthrough=True))
            call = LiveCall(session=session, peer=Peer(clip, voice))
            session.attach(call.events.append)
            await call.peer.call(session.negotiate)
            yield call
            await call.peer.close()
        finally:
            await registry.close()


@contextmanager
def _time_to_connect() -> Iterator[None]:
    """Within, a connection may take its time: a busy machine needs more than the 15 s that a browser is given."""
    before, rtc_leg.CONNECT_S = rtc_leg.CONNECT_S, PATIENCE_S
    try:
        yield
    finally:
        rtc_leg.CONNECT_S = before


def _vault(data_dir: Path, registry: Registry) -> IdentityVault:
    return IdentityVault(
        masks=mask_art.MASKS,
        draw_mask=mask_art.thumbnail,
        ledger=ConsentLedger(data_dir / "consent.jsonl", b"k" * 32),
        inspect=registry.inspect_portraits,
        max_portraits=2,
        max_bytes=1 << 20,
        max_pixels=1 << 20,
    )

"""All calls of this server and the lanes they share: admits, finds, sweeps, closes. Capacity is only here.

Made by `mirage_rtc.__main__`, called by `signaling`. One process serves up to `max_calls` calls.
"""

import asyncio
import itertools
import logging
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec

from mirage_rtc.aiortc_private.addresses import limit_udp_ports, offer_loopback
from mirage_rtc.aiortc_private.sender import EncoderSettings
from mirage_rtc.audit import AuditLog
from mirage_rtc.clock import Clock, monotonic_s
from mirage_rtc.config import Config, is_loopback
from mirage_rtc.errors import BadInput, NotFound, TooMany, Unavailable
from mirage_rtc.grants import Grants
from mirage_rtc.h264_encoder import SOFTWARE
from mirage_rtc.identities import IdentityVault
from mirage_rtc.inference import EngineFailed, Lane, LaneDown, LaneState
from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.memory import Housekeeping
from mirage_rtc.metrics import Metrics
from mirage_rtc.rtc_leg import Encoding
from mirage_rtc.session import Session, Surroundings
from mirage_rtc.swap_pipeline import ForgetIdentity, InspectPortrait
from mirage_rtc.voice_pipeline import MeasureVoice, UnusableClip
from models.engines import EnhancerWish, Frame, Samples, VoiceProfile
from models.imported_voices import ImportedVoice, ImportedVoices

logger = logging.getLogger(__name__)

SWEEP_S = 1.0
LAG_TICK_S = 0.05
FACE_NICE = 2
"""The face lane yields to the voice lane and to the event loop: audio is the master."""
STUDY_NICE = 10
"""What is not on the media path yields to everything."""
STUDY_QUEUE = 4
"""Portraits and clips that may wait to be studied; the next one is told to come back."""


class EngineReport(msgspec.Struct, frozen=True, kw_only=True):
    """Which engine runs each stage, and how it is."""

    face_name: str
    face_state: LaneState
    face_why: str
    voice_name: str
    voice_state: LaneState
    voice_why: str
    voice_offers: bool
    """Whether imported voices can be worn."""
    ready: bool


class Registry:
    """All sessions. `start` before the first call; `close` ends everything."""

    def __init__(
        self,
        config: Config,
        *,
        face: LaneSpec,
        voice: LaneSpec,
        audit: AuditLog,
        metrics: Metrics,
        clock: Clock = monotonic_s,
        h264: str = SOFTWARE,
    ) -> None:
        self._config = config
        self._audit = audit
        self._metrics = metrics
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._draining = False
        self._face, self._voice = face, voice
        self._studying = asyncio.Lock()  # one such process at a time, whoever asks
        self._study_queue = 0
        self._face_lanes = [self._lane(f"face-{n}", face) for n in range(config.face_lanes)]
        self._voice_lanes = [self._lane(f"voice-{n}", voice) for n in range(config.voice_lanes)]
        self._next_lane = itertools.count()
        self._encoding = Encoding(
            codec=config.video_codec,
            settings=EncoderSettings(
                threads=ThreadPoolExecutor(max(2, config.max_calls), thread_name_prefix="encode"),
                kbps_start=config.video_kbps_start,
                kbps_max=config.video_kbps_max,
                h264=h264,
                watch=metrics.pictures,
            ),
            advertise_ips=config.advertise_ips,
        )
        self._imported = ImportedVoices(config.data_dir)
        self._housekeeping = Housekeeping()
        self._vault: IdentityVault | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def sessions(self) -> Mapping[str, Session]:
        """Live sessions by id."""
        return self._sessions

    async def start(self, vault: IdentityVault) -> None:
        """Start the lanes and wait until both engines are warm. Raises Unavailable "engine_failed"."""
        self._vault = vault
        offer_loopback(is_loopback(self._config.host))
        if self._config.udp_port_min:
            limit_udp_ports(asyncio.get_running_loop(), self._config.udp_port_min, self._config.udp_port_max)
        try:
            await asyncio.gather(*(lane.start() for lane in self._lanes()))
        except LaneDown as down:
            await self.close()
            sentence = f"An engine did not start ({down}). Run `mirage-rtc doctor`: it says what is missing."
            raise Unavailable("engine_failed", sentence) from None
        loop = asyncio.get_running_loop()
        work = (self._run_sweep(), self._run_lag(), self._housekeeping.run())
        self._tasks = [loop.create_task(each) for each in work]

    async def admit(self, *, subject: str, grants: Grants) -> Session:
        """Open a session. Raises TooMany "at_capacity" or Unavailable "draining"."""
        if self._draining or self._vault is None:
            raise Unavailable("draining", "This server is shutting down: open the link again in a minute.")
        if len(self._sessions) >= self._config.max_calls:
            raise TooMany("at_capacity", "This server has as many calls as it can serve: try again in a minute.")
        session = Session(secrets.token_urlsafe(16), subject, grants, self._surroundings(self._vault))
        self._sessions[session.id] = session
        self._metrics.calls.set(len(self._sessions))
        self._audit.record("session_start", session_id=session.id, calls=len(self._sessions))
        return session

    def get(self, session_id: str) -> Session:
        """Raises NotFound "session_not_found"."""
        session = self._sessions.get(session_id)
        if session is None or session.closed:
            raise NotFound("session_not_found", "This call has ended: open a new link.")
        return session

    def engines(self) -> EngineReport:
        """How the engines are; ready when no lane is missing."""
        face, voice = self._face_lanes[0], self._voice_lanes[0]
        return EngineReport(
            face_name=face.engine_name,
            face_state=face.state,
            face_why=face.engine_why,
            voice_name=voice.engine_name,
            voice_state=voice.state,
            voice_why=voice.engine_why,
            voice_offers=bool(voice.engine_extras),
            ready=not self._draining and all(lane.state == "ready" for lane in self._lanes()),
        )

    def imported_voices(self) -> Mapping[str, ImportedVoice]:
        """By name: what can be worn now. Read from the disk, so that a voice that was removed is not among them."""
        if not all(lane.engine_extras for lane in self._voice_lanes):
            return {}
        return self._imported.offered()

    async def inspect_portraits(self, portraits: tuple[Frame, ...]) -> None:
        """Raises BadInput when no identity can be made of portraits, Unavailable when nobody can tell now."""
        await self._ask("inspect", self._face_lanes[0], self._face, InspectPortrait(portraits=portraits))

    async def measure_voice(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """Measure a reference clip. Raises BadInput "clip_unusable"."""
        job = MeasureVoice(clip=clip, sample_rate_hz=sample_rate_hz)
        measured: Any = await self._ask("measure", self._voice_lanes[0], self._voice, job)
        if isinstance(measured, UnusableClip):
            raise BadInput("clip_unusable", measured.sentence)
        profile: VoiceProfile = measured
        return profile

    async def forget_identity(self, name: str) -> None:
        """Have nobody wear a portrait, or be recognised by it, any more, and drop what the lanes prepared of it."""
        for session in self._all():
            try:
                session.lose_identity(name)
            except Exception:  # the other calls are to lose it all the same, and the lanes
                logger.exception("a call did not lose an identity")
        await asyncio.gather(
            *(lane.run(ForgetIdentity(name=name)) for lane in self._face_lanes), return_exceptions=True
        )

    async def close(self) -> None:
        """End every session, then the lanes. Idempotent."""
        self._draining = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        ending = [self._end(session, "server_closing", "The server is shutting down.") for session in self._all()]
        await asyncio.gather(*ending)
        await asyncio.gather(*(lane.close() for lane in self._lanes()))
        self._encoding.settings.threads.shutdown(wait=False)

    def _all(self) -> list[Session]:
        return list(self._sessions.values())

    def _lanes(self) -> list[Lane]:
        return [*self._face_lanes, *self._voice_lanes]

    def _lane(self, name: str, spec: LaneSpec) -> Lane:
        def on_state(state: LaneState) -> None:
            self._metrics.lane_starts.labels(name, state).inc()
            if state != "ready":
                self._metrics.gpu.forget(name)
            if lane.engine_name:
                for engine in (lane.engine_name, *lane.engine_extras):
                    self._metrics.engines.labels(name, engine).set(state == "ready")
            self._audit.record("lane", engine=name, state=state)
            for session in self._all():
                session.engines_changed()

        lane = Lane(name, spec, on_state=on_state, on_gpu=partial(self._metrics.gpu.observe, name))
        return lane

    def _surroundings(self, vault: IdentityVault) -> Surroundings:
        turn = next(self._next_lane)
        return Surroundings(
            face_lane=self._face_lanes[turn % len(self._face_lanes)],
            voice_lane=self._voice_lanes[turn % len(self._voice_lanes)],
            vault=vault,
            audit=self._audit,
            metrics=self._metrics,
            encoding=self._encoding,
            clock=self._clock,
            fail_policy=self._config.fail_policy,
            max_faces=self._config.max_faces,
            hop_ms=self._config.hop_ms,
            enhancer=EnhancerWish(
                mode="off" if self._config.enhancer == "off" else "auto", fidelity=self._config.codeformer_fidelity
            ),
            imported_voices=self.imported_voices,
            on_leg_closed=self._housekeeping.want,
        )

    async def _ask(self, name: str, serving: Lane, spec: LaneSpec, job: Any) -> Any:
        """Have a job done as `serving` would, in a lane of its own: it is no frame, and no call is to wait for it."""
        if self._studying.locked() and self._study_queue >= STUDY_QUEUE:
            raise TooMany("engine_busy", "The server is studying other portraits and clips: try again in a minute.")
        self._study_queue += 1
        try:
            return await self._study(name, spec.for_study(in_force=serving.engine_name, nice=STUDY_NICE), job)
        finally:
            self._study_queue -= 1

    async def _study(self, name: str, spec: LaneSpec, job: Any) -> Any:
        async with self._studying:
            lane = Lane(name, spec)
            try:
                await lane.start()
                return await lane.run(job, settling=True)
            except LaneDown:
                raise Unavailable(
                    "engine_busy", "The server is too busy for this now: try again in a minute."
                ) from None
            except EngineFailed:
                raise BadInput("engine_refused", "The engine cannot use this: try another picture or clip.") from None
            finally:
                await lane.close()

    async def _end(self, session: Session, code: str, sentence: str) -> None:
        self._sessions.pop(session.id, None)
        await session.close(code, sentence)
        if self._vault is not None and all(other.subject != session.subject for other in self._all()):
            self._vault.forget(session.subject)
        self._metrics.calls.set(len(self._sessions))

    async def _run_sweep(self) -> None:
        """End the sessions nobody came back to, those over their time, and those that closed themselves."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self._metrics.tasks.set(len(asyncio.all_tasks()))
            overdue = [(session, reason) for session in self._all() if (reason := self._overdue(session)) is not None]
            ended = await asyncio.gather(
                *(self._end(session, *reason) for session, reason in overdue), return_exceptions=True
            )
            for failure in filter(None, ended):
                logger.error("a session did not end cleanly", exc_info=failure)

    def _overdue(self, session: Session) -> tuple[str, str] | None:
        now_s = self._clock()
        if session.closed:
            return "closed", "The call ended."
        if session.left_s is not None and now_s - session.left_s > self._config.resume_grace_s:
            return "abandoned", "Nobody came back to this call in time."
        limits_s = [session.grants.max_call_s, self._config.max_call_minutes * 60 or None]
        limit_s = min((limit for limit in limits_s if limit), default=None)
        if limit_s is not None and now_s - session.opened_s > limit_s:
            return "time_over", "This call reached the time its link or its server allows."
        return None

    async def _run_lag(self) -> None:
        """Measure how late the event loop runs."""
        while True:
            before_s = self._clock()
            await asyncio.sleep(LAG_TICK_S)
            self._metrics.loop_lag_ms.observe(max(0.0, self._clock() - before_s - LAG_TICK_S) * 1000.0)

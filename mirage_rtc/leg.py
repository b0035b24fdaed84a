"""The media of one session over one transport: its two gates, its two paths, and the tasks that move them.

A session makes a leg for each transport it uses and tells it what the person wishes; a leg that was replaced is shut at
once, and lets nothing but the card and silence through while its transport winds down.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from mirage_rtc.audio_path import AudioPath
from mirage_rtc.call_stats import Rolling, SessionStats
from mirage_rtc.clock import Clock
from mirage_rtc.errors import MirageError
from mirage_rtc.gate import FailPolicy, PictureGate, PictureKind, SafePicture, SafeSound, SoundGate, SoundKind
from mirage_rtc.inference import Lane
from mirage_rtc.lip_sync import OPUS_LOOKAHEAD_S, SyncRule
from mirage_rtc.metrics import Metrics
from mirage_rtc.seats import FaceSeat
from mirage_rtc.video_path import VideoPath
from mirage_rtc.voice_seat import FellBack, VoiceSeat
from models.engines import Enhancement, EnhancerWish, FaceMapping, IdentitySource, VoiceSettings

logger = logging.getLogger(__name__)

HOLD_MAX_S = 0.15
"""A picture waits at most so long for its voice (the specification's sync strategy knows no larger skew)."""
HOLD_EARLY_S = 0.010
"""A picture takes longer to encode and to decode than a voice frame: it leaves so much earlier."""
HOLD_EARLY_RAW_S = 0.045
"""The same for a voice that passes through: it is hardly late, and nobody notices sound that is (ITU-R BT.1359-1: from
125 ms on), so that pictures wait for its jitter only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a person asked for, as far as it was granted."""

    identity: IdentitySource
    voice: VoiceSettings
    mapping: FaceMapping | None = None
    """Who wears another identity, or none; None: everybody wears the one."""
    fallback_voice: VoiceSettings = VoiceSettings()
    """The embedded voice that speaks where an imported one cannot."""
    passthrough_face: bool = False
    passthrough_voice: bool = False
    muted_audio: bool = False
    muted_video: bool = False
    badge: bool = True
    enhancer: EnhancerWish = EnhancerWish()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegParts:
    """What a leg is built of."""

    call_id: str
    face_lane: Lane
    voice_lane: Lane
    wishes: Wishes
    fail_policy: FailPolicy
    max_faces: int
    hop_ms: int
    clock: Clock
    metrics: Metrics
    on_picture: Callable[[PictureKind], None] = lambda _: None
    on_face_unable: Callable[[MirageError], None] = lambda _: None
    """Told why a face that was asked for cannot be worn."""
    on_sound: Callable[[SoundKind], None] = lambda _: None
    on_voice: Callable[[], None] = lambda: None
    """Told when another voice engine speaks, or it takes longer than before."""
    on_fallback: Callable[[FellBack], None] = lambda _: None
    on_enhancement: Callable[[Enhancement], None] = lambda _: None
    """Told when another enhancer works on the faces, or at another cadence."""
    on_degrade: Callable[[float], None] = lambda _: None
    """Told by how many ms the audio leads when it leads the pictures too far; at most once a second."""


class Leg:
    """Two running paths. `close` gives their seats up."""

    def __init__(self, parts: LegParts, *, sample_rate_hz: int, frame_samples: int, fill: bool) -> None:
        clock, metrics, wishes = parts.clock, parts.metrics, parts.wishes
        self.clock = clock
        self.call_id = parts.call_id
        self.pictures, self.video_ms, self.audio_ms = Rolling(clock), Rolling(clock), Rolling(clock)
        self.skew_ms = 0.0
        self._codec_s = OPUS_LOOKAHEAD_S if fill else 0.0
        self._metrics = metrics
        self._wishes = wishes
        self._kinds: dict[str, int] = {}
        self._on_picture = parts.on_picture
        self._face = FaceSeat(
            parts.face_lane, call_id=parts.call_id, max_faces=parts.max_faces, on_unable=parts.on_face_unable
        )
        self._face.wear(wishes.identity, wishes.mapping)
        self._face.enhance(wishes.enhancer)
        self._voice = VoiceSeat(
            parts.voice_lane,
            call_id=parts.call_id,
            sample_rate_hz=sample_rate_hz,
            hop_ms=parts.hop_ms,
            settings=wishes.voice,
            fallback=wishes.fallback_voice,
            on_fallback=parts.on_fallback,
            on_change=parts.on_voice,
        )
        self.sync = SyncRule(parts.on_degrade)
        self.video = VideoPath(
            seat=self._face,
            gate=PictureGate(policy=parts.fail_policy, clock=clock, on_kind=self._see),
            sync=self.sync,
            clock=clock,
            metrics=metrics,
            hold_s=self._hold_s,
        )
        self.audio = AudioPath(
            seat=self._voice,
            gate=SoundGate(on_kind=parts.on_sound),
            sync=self.sync,
            clock=clock,
            metrics=metrics,
            frame_samples=frame_samples,
            fill=fill,
        )
        self.video.on_enhancement = parts.on_enhancement
        self._apply_switches(wishes)
        self._tasks: set[asyncio.Task[None]] = set()
        self.start(self.video.run())
        self.start(self.audio.run())

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until the leg closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    def apply(self, wishes: Wishes) -> None:
        """Do as asked; nothing that the former wishes allowed, and these do not, leaves after this returns."""
        former, self._wishes = self._wishes, wishes
        if wishes.voice is not former.voice:
            self._voice.set_voice(wishes.voice, fallback=wishes.fallback_voice)
        self._face.enhance(wishes.enhancer)
        new_face = wishes.identity.name != former.identity.name or wishes.mapping is not former.mapping
        if new_face:
            self._face.wear(wishes.identity, wishes.mapping)
        if new_face or _picture_switches(wishes) != _picture_switches(former):
            self.video.flush()
        if _sound_switches(wishes) != _sound_switches(former):
            self.audio.flush()
        self._apply_switches(wishes)

    def picture_sent(self, safe: SafePicture) -> None:
        """Note a picture that was handed over for encoding."""
        self.pictures.add()
        if safe.kind not in ("live", "passthrough"):
            return
        latency_ms = (self.clock() - safe.capture_s) * 1000.0
        self.video_ms.add(latency_ms)
        self.skew_ms = self.sync.skew_ms(safe.capture_s)
        self._metrics.latency_ms.labels("video").observe(latency_ms)

    def sound_sent(self, safe: SafeSound) -> None:
        """Note a frame that was handed over for encoding."""
        if safe.kind not in ("live", "passthrough"):
            return
        latency_ms = (self.clock() - safe.capture_s) * 1000.0
        self.audio_ms.add(latency_ms)
        self._metrics.latency_ms.labels("audio").observe(latency_ms)

    @property
    def voice(self) -> VoiceSeat:
        """Which voice speaks, and how well it keeps up."""
        return self._voice

    def stats(self) -> SessionStats:
        """The last seconds' figures."""
        ladder = self._voice.ladder
        return SessionStats(
            fps_in=self.video.arrivals.per_second(),
            fps_out=self.pictures.per_second(),
            video_ms_p50=self.video_ms.median(),
            audio_ms_p50=self.audio_ms.median(),
            skew_ms=self.skew_ms,
            dropped=self.video.dropped,
            swapped=self._kinds.get("live", 0),
            frozen=self._kinds.get("frozen", 0),
            cards=self._kinds.get("card", 0),
            hops=self.audio.hops,
            hops_silent=self.audio.hops_silent,
            voice_ratio=self.audio.ratio.median(),
            voice_hop_ms=self._voice.hop_ms,
            voice_accept_ratio=self.audio.accepted.mean() if ladder is None else ladder.accept_ratio,
            voice_over_budget=self._voice.over_budget,
            face_cpu_ms=self.video.cpu_ms.median(),
        )

    def shut(self) -> None:
        """From now on nothing but the card and silence leaves. Does not wait."""
        self.video.gate.close()
        self.audio.gate.close()
        self.video.flush()
        self.audio.flush()

    async def close(self) -> None:
        """Stop the tasks and give the seats up. Idempotent."""
        self.shut()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(self._face.close(), self._voice.close())

    def _apply_switches(self, wishes: Wishes) -> None:
        self.video.gate.passthrough = wishes.passthrough_face
        self.video.gate.badge = wishes.badge
        self.video.mixed = wishes.mapping is not None
        self.video.muted = wishes.muted_video
        self.audio.gate.passthrough = wishes.passthrough_voice
        self.audio.gate.muted = wishes.muted_audio

    def _hold_s(self) -> float:
        """How long after capture a picture leaves: when the voice of the same moment does."""
        early_s = HOLD_EARLY_RAW_S if self.audio.gate.passthrough else HOLD_EARLY_S
        return max(0.0, min(HOLD_MAX_S, self.audio.delay_s + self._codec_s - early_s))

    def _see(self, kind: PictureKind) -> None:
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        self._on_picture(kind)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a task of a call ended", exc_info=task.exception())


def _picture_switches(wishes: Wishes) -> tuple[bool, bool]:
    return wishes.passthrough_face, wishes.muted_video


def _sound_switches(wishes: Wishes) -> tuple[bool, bool]:
    return wishes.passthrough_voice, wishes.muted_audio

"""The media of one session over one transport: its two paths and the tasks that move them. Built by `session`."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from mirage_rtc.audio_path import AudioPath
from mirage_rtc.call_stats import Rolling
from mirage_rtc.clock import Clock, SyncRule
from mirage_rtc.gate import PictureGate, SafePicture, SafeSound, SoundGate
from mirage_rtc.inference import Lane
from mirage_rtc.metrics import Metrics
from mirage_rtc.seats import FaceSeat, VoiceSeat
from mirage_rtc.video_path import VideoPath
from models.engines import IdentitySource, VoiceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class LegParts:
    """What a leg is built of."""

    call_id: str
    face_lane: Lane
    voice_lane: Lane
    picture_gate: PictureGate
    sound_gate: SoundGate
    identity: IdentitySource
    voice: VoiceSettings
    max_faces: int
    hop_ms: int
    clock: Clock
    metrics: Metrics


class Leg:
    """Two running paths. `close` gives their seats up."""

    def __init__(self, parts: LegParts, *, sample_rate_hz: int, frame_samples: int, fill: bool) -> None:
        self.clock = parts.clock
        self.sync = SyncRule()
        self._metrics = parts.metrics
        self._face = FaceSeat(parts.face_lane, call_id=parts.call_id, max_faces=parts.max_faces)
        self._face.wear(parts.identity)
        self._voice = VoiceSeat(
            parts.voice_lane,
            call_id=parts.call_id,
            sample_rate_hz=sample_rate_hz,
            hop_ms=parts.hop_ms,
            settings=parts.voice,
        )
        self.video = VideoPath(
            seat=self._face, gate=parts.picture_gate, sync=self.sync, clock=parts.clock, metrics=parts.metrics
        )
        self.audio = AudioPath(
            seat=self._voice,
            gate=parts.sound_gate,
            sync=self.sync,
            clock=parts.clock,
            metrics=parts.metrics,
            frame_samples=frame_samples,
            fill=fill,
        )
        self.pictures = Rolling(parts.clock)
        self.video_ms = Rolling(parts.clock)
        self.audio_ms = Rolling(parts.clock)
        self.skew_ms = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self.start(self.video.run())
        self.start(self.audio.run())

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until the leg closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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

    def wear(self, identity: IdentitySource) -> None:
        """Change the identity; nothing that shows the former one leaves after this returns."""
        self._face.wear(identity)
        self.video.flush()

    def set_voice(self, settings: VoiceSettings) -> None:
        """Change the voice from the next hop on."""
        self._voice.set_voice(settings)

    async def close(self) -> None:
        """Stop the tasks and give the seats up. Idempotent."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(self._face.close(), self._voice.close())

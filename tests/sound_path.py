"""The voice's whole way in virtual time: packets of a client's microphone in, frames out, each with its time.

The engine is a seat that takes its time on the loop's clock, since a lane's worker knows real time only. Used by
`test_playout`, `test_drift` and `test_sync`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mirage_rtc.audio_path import AudioPath
from mirage_rtc.clock import CaptureClock, TrackStart
from mirage_rtc.gate import SafeSound, SoundGate
from mirage_rtc.hop_ladder import HopLadder
from mirage_rtc.lip_sync import SyncRule
from mirage_rtc.metrics import Metrics
from mirage_rtc.tracks import AUDIO_RATE_HZ
from mirage_rtc.voice_pipeline import ConvertedHop
from models.engines import Samples, VoiceStream
from tests import virtual_time
from tests.virtual_time import FakeClock

PACKET = 960
PACKET_S = PACKET / AUDIO_RATE_HZ
RAMP_SAMPLES = 1 << 26
RAMP_FROM = 1 / 128
"""Louder than what is taken for silence."""
Figures = NDArray[np.float64]
Arrival = Callable[[int], float | None]
"""Seconds by which a packet comes later than the fastest could; None: it is lost."""


class SlowSeat:
    """A voice engine of known cost and content delay that changes nothing, or one that is given, at a known cost."""

    sample_rate_hz = AUDIO_RATE_HZ

    def __init__(
        self, hop_ms: int = 40, cost_s: float = 0.008, delay_ms: float = 0.0, voice: VoiceStream | None = None
    ) -> None:
        self.hop_ms = hop_ms
        self.delay_ms = delay_ms if voice is None else voice.delay_ms
        self.ladder: HopLadder | None = None
        self.voices = 0
        self._cost_s = cost_s
        self._voice = voice

    async def open(self) -> None:
        """Nothing to make."""

    async def convert(self, samples: Samples) -> ConvertedHop:
        """As many samples, later."""
        await asyncio.sleep(self._cost_s)
        spoken = samples if self._voice is None else self._voice.convert(samples)
        return ConvertedHop(samples=spoken, cpu_ms=self._cost_s * 1000)

    async def advance(self, *, waits: bool = False) -> None:
        """No other voice is being prepared."""

    def skip(self, hop_ms: int) -> None:
        """A hop that was left out costs nothing."""


@dataclass(frozen=True, slots=True)
class Left:
    """A frame that left at `at_s`."""

    at_s: float
    sound: SafeSound


@dataclass(kw_only=True)
class SoundCall:
    """One path and what came out of it; times are of the fake clock, which starts at 1000 s."""

    clock: FakeClock = field(default_factory=FakeClock)
    passthrough: bool = True
    seat: SlowSeat = field(default_factory=SlowSeat)
    left: list[Left] = field(default_factory=list)
    waiting_ms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.began_s, self.speed, self._whole = 0.0, 1.0, True
        self.sync = SyncRule()
        self.gate = SoundGate(on_kind=lambda _: None)
        self.gate.passthrough = self.passthrough
        self.path = AudioPath(
            seat=cast(Any, self.seat),
            gate=self.gate,
            sync=self.sync,
            clock=self.clock,
            metrics=Metrics(),
            frame_samples=PACKET,
            fill=True,
        )

    def run(
        self,
        seconds: float,
        *,
        late_s: Arrival = lambda _: 0.0,
        wave: Samples | None = None,
        microphone_ppm: float = 0.0,
        reports: bool = False,
        whole: bool = True,
    ) -> list[Left]:
        """Speak for some seconds; all frames that left. The microphone's clock may be off by some ppm.

        Without `whole` the first packets are passed over as `pump_audio` does it.
        """
        self._whole = whole
        virtual_time.run(self._call(seconds, late_s, wave, microphone_ppm, reports), self.clock)
        return self.left

    async def _call(
        self, seconds: float, late_s: Arrival, wave: Samples | None, microphone_ppm: float, reports: bool
    ) -> None:
        tasks = [asyncio.create_task(self.path.run()), asyncio.create_task(self._listen())]
        await self._speak(seconds, late_s, wave, 1.0 + microphone_ppm * 1e-6, reports)
        await asyncio.sleep(0.05)  # less than it takes for silence to stand in
        for task in tasks:
            task.cancel()

    async def _speak(self, seconds: float, late_s: Arrival, wave: Samples | None, speed: float, reports: bool) -> None:
        """Packets in order: one that is late keeps those behind it waiting."""
        stamps, start = CaptureClock(), TrackStart()
        self.began_s, self.speed = self.clock(), speed
        due_s = 0.0
        for n in range(round(seconds / PACKET_S)):
            sent_s = self.began_s + (n + 1) * PACKET_S / speed
            if (late := late_s(n)) is None:
                continue
            due_s = max(due_s, sent_s + 0.005 + late)
            if due_s > self.clock():
                await asyncio.sleep(due_s - self.clock())
            if not (self._whole or start.has_begun(self.clock(), PACKET_S)):
                continue
            position = n * PACKET
            samples = ramp(position) if wave is None else wave[position : position + PACKET]
            reported_s = 77.0 + n * PACKET_S / speed if reports and n > 50 else None
            capture_s = stamps.capture_s(position / AUDIO_RATE_HZ, self.clock() - PACKET_S, reported_s)
            self.path.push(samples, capture_s=capture_s, position=position)
            self.waiting_ms.append(self.path.waiting_ms)

    async def _listen(self) -> None:
        while True:
            sound = await self.path.next()
            self.left.append(Left(self.clock(), sound))

    def captured_s(self, left: Left) -> float:
        """When the first sample of a frame was captured in truth: the ramp says which one it is."""
        last = int(left.sound.samples.argmax())
        position = (float(left.sound.samples[last]) - RAMP_FROM) * RAMP_SAMPLES - last
        return self.began_s + position / AUDIO_RATE_HZ / self.speed

    def delays_ms(self, left: list[Left]) -> Figures:
        """How long after the capture of its first sample each frame left; silent ones are left out."""
        return np.array([1000 * (each.at_s - self.captured_s(each)) for each in left if each.sound.samples.any()])

    def stamp_errors_ms(self, left: list[Left]) -> Figures:
        """How far the capture time that each frame bears is from the truth: by so much a picture would be off."""
        spoken = [each for each in left if each.sound.samples.any()]
        return np.array([1000 * (each.sound.capture_s - self.captured_s(each)) for each in spoken])


def ramp(position: int) -> Samples:
    """A packet whose samples say where on the timeline they are; 0 is silence."""
    return (RAMP_FROM + (np.arange(position, position + PACKET) + 1.0) / RAMP_SAMPLES).astype(np.float32)

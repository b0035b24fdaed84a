"""The voice's way through one call: hops -> voice lane -> gate -> frames. As many samples come out as go in.

The timeline is never stretched: a hop that cannot be converted leaves as silence of the same length, and a hole in the
input is filled with silence. While the voice passes through unconverted a hop is one frame: none waits for another.
How long a hop is else, the seat says whenever one is cut: an imported voice moves along the hop ladder.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from math import ceil

import numpy as np

from mirage_rtc.call_stats import Rolling
from mirage_rtc.clock import Clock
from mirage_rtc.drift import DriftCorrector
from mirage_rtc.errors import MirageError
from mirage_rtc.gate import SafeSound, SoundGate
from mirage_rtc.hop_seam import FADE_S, HopSeam
from mirage_rtc.inference import EngineFailed, LaneDown
from mirage_rtc.lip_sync import SyncRule
from mirage_rtc.metrics import Metrics
from mirage_rtc.playout import Playout
from mirage_rtc.voice_metrics import ACCEPT_RATIO
from mirage_rtc.voice_pipeline import ConvertedHop
from mirage_rtc.voice_seat import VoiceSeat
from models.engines import Samples

logger = logging.getLogger(__name__)

BACKLOG_MS = 200
"""More input than this waiting: the oldest hops leave as silence at once, unconverted."""
CHUNK_BACKLOG_MS = 600
"""The same where sound comes in chunks of up to 400 ms."""
REANCHOR_S = 0.5
"""A hole longer than this is a pause, not a loss: it is not filled, and nothing is paid back for it."""
PAUSE_MS = 80
"""What a voice still says of what it heard before: the longest content delay, rounded up to hops of 40 ms."""
FILLED_MAX_S = 1.0
FILL_WINDOW_S = 2.0
"""So much is filled in so long; who loses more than half, or makes jumps of it, gets no silence without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hop:
    samples: Samples
    capture_s: float
    generation: int
    spare_s: float
    """How much later its last sample could have come in the same packet; 0 while packets and hops keep in step."""


class AudioPath:
    """One call's voice, at the seat's sample rate, leaving in frames of `frame_samples`."""

    def __init__(
        self,
        *,
        seat: VoiceSeat,
        gate: SoundGate,
        sync: SyncRule,
        clock: Clock,
        metrics: Metrics,
        frame_samples: int,
        fill: bool,
    ) -> None:
        self.seat = seat
        self.gate = gate
        self.hops = 0
        self.hops_silent = 0
        self.ratio = Rolling(clock)
        self.accepted = Rolling(clock)
        """1 for a hop under ratio 0.65, 0 for one over it."""
        self._rate_hz = seat.sample_rate_hz
        self._raw_samples = frame_samples if fill else None
        self._backlog_ms = BACKLOG_MS if fill else CHUNK_BACKLOG_MS
        self._sync = sync
        self._metrics = metrics
        self._drift = DriftCorrector(self._rate_hz) if fill else None
        self._clock = clock
        self._pending = np.zeros(0, np.float32)
        self._pending_s = 0.0
        self._expected: int | None = None
        self._fills: deque[tuple[float, int]] = deque()
        self._filled = 0
        self._hops: deque[_Hop] = deque()
        self._arrived = asyncio.Event()
        self._longest_ms = seat.hop_ms
        self._seam = HopSeam(self._rate_hz)
        self._voices = 0
        self._spoken = gate.generation
        self._rises = False
        self._playout = Playout(
            gate=gate,
            clock=clock,
            rate_hz=self._rate_hz,
            frame_samples=frame_samples,
            most_ms=2 * self._backlog_ms,
            fill=fill,
        )

    @property
    def delay_s(self) -> float:
        """How long after its capture sound leaves; 0 before there was any."""
        return self._playout.cushion.delay_s + self._engine_delay_s()

    @property
    def waiting_ms(self) -> float:
        """Sound in this path that was not sent yet."""
        unsent = len(self._pending) + sum(len(hop.samples) for hop in self._hops) + self._playout.waiting
        return 1000.0 * unsent / self._rate_hz

    def push(self, samples: Samples, *, capture_s: float, position: int | None = None) -> None:
        """Add samples captured from `capture_s` on. Their index on the sender's timeline, `position`, shows holes."""
        hole = self._hole(position, len(samples))
        if hole:
            samples = np.concatenate([np.zeros(hole, np.float32), samples])
            capture_s -= hole / self._rate_hz
        if self._drift is not None and position is not None:
            media_s = (position + len(samples) - hole) / self._rate_hz
            samples, capture_s = self._drift.take(
                samples, capture_s=capture_s, media_s=media_s, arrival_s=self._clock()
            )
        self._pending_s = capture_s - len(self._pending) / self._rate_hz
        self._pending = np.concatenate([self._pending, self._risen(samples) if self._rises else samples])
        while len(self._pending) >= (count := self._hop_samples()):
            self._cut_hop(count, packet=len(samples))

    def _risen(self, samples: Samples) -> Samples:
        """The first samples after a flush: out of the silence before them, which raw or converted would be a click."""
        self._rises = False
        rise, risen = np.linspace(0.0, 1.0, round(FADE_S * self._rate_hz), dtype=np.float32), samples.copy()
        risen[: len(rise)] *= rise[: len(risen)]
        return risen

    def flush(self) -> None:
        """Whatever is on its way leaves as silence."""
        self.gate.flush()
        self._pending = np.zeros_like(self._pending)  # it would be cut into a hop of the new generation
        self._rises = True
        if self._drift is not None:
            self._drift.flush()
        self._playout.cushion.renew()

    async def run(self) -> None:
        """Move hops until cancelled."""
        if not self.gate.passthrough:
            await self.seat.open()  # before the first hop comes: it would wait for it
        while True:
            while not self._hops:
                self._arrived.clear()
                await self._arrived.wait()
            hop = self._hops.popleft()
            try:
                sound = await self._process(hop)
            except Exception:  # a fault of ours silences one hop; an ended task would silence the call
                logger.exception("a hop was not processed")
                sound = self.gate.silence(len(hop.samples), capture_s=hop.capture_s)
            self._playout.put(self._joined(sound), heard_s=hop.capture_s, spare_s=hop.spare_s)
            if not self.gate.passthrough:
                await self.seat.advance(waits=bool(self._hops))

    async def next(self) -> SafeSound:
        """The next frame that may be sent: exactly `frame_samples`, paced on the WebRTC path."""
        sound = await self._playout.next()
        self._sync.audio_sent(sound.capture_s + len(sound.samples) / self._rate_hz)
        return sound

    def _hole(self, position: int | None, count: int) -> int:
        """How many samples are missing before this push."""
        if position is None:
            return 0
        expected, self._expected = self._expected, position + count
        hole = 0 if expected is None else position - expected
        if abs(hole) > REANCHOR_S * self._rate_hz or not self._may_fill(hole):
            self._playout.forgive()
            return 0
        return max(0, hole)

    def _may_fill(self, hole: int) -> bool:
        """Whether a hole of so many samples is within what may be filled now; it is counted then."""
        now_s = self._clock()
        while self._fills and self._fills[0][0] <= now_s - FILL_WINDOW_S:
            self._filled -= self._fills.popleft()[1]
        if hole <= 0:
            return True
        if self._filled + hole > FILLED_MAX_S * self._rate_hz:
            return False
        self._fills.append((now_s, hole))
        self._filled += hole
        return True

    def _hop_samples(self) -> int:
        if self.gate.passthrough and self._raw_samples is not None:
            return self._raw_samples
        return self.seat.hop_ms * self._rate_hz // 1000

    def _engine_delay_s(self) -> float:
        return 0.0 if self.gate.passthrough else self.seat.delay_ms / 1000.0

    def _cut_hop(self, count: int, *, packet: int) -> None:
        samples, self._pending = self._pending[:count], self._pending[count:]
        slips = self._drift is not None and self._drift.correction != 0.0
        spare_s = max(0, packet - len(self._pending)) / self._rate_hz if slips else 0.0
        generation = self.gate.generation
        self._hops.append(_Hop(samples=samples, capture_s=self._pending_s, generation=generation, spare_s=spare_s))
        self._pending_s += count / self._rate_hz
        self._arrived.set()

    async def _process(self, hop: _Hop) -> SafeSound:
        self.hops += 1
        if self.gate.passthrough:
            return self.gate.raw(hop.samples, capture_s=hop.capture_s, generation=hop.generation)
        converted = await self._convert(hop) if self._is_due(hop) else None
        capture_s = hop.capture_s - self._engine_delay_s()
        if converted is None:
            self.hops_silent += 1
            return self.gate.silence(len(hop.samples), capture_s=capture_s)
        return self.gate.converted(converted.samples, capture_s=capture_s, generation=hop.generation)

    def _is_due(self, hop: _Hop) -> bool:
        """Whether a hop is converted: what was asked for before a flush is not, nor what came too long ago."""
        if hop.generation != self.gate.generation:
            return False
        hop_ms = len(hop.samples) * 1000 // self._rate_hz
        waiting_ms = sum(len(each.samples) for each in self._hops) * 1000 / self._rate_hz
        self._metrics.voice.backlog_ms.observe(waiting_ms)
        if waiting_ms <= max(self._backlog_ms, 2 * hop_ms):
            return True
        self.seat.skip(hop_ms)
        return False

    async def _convert(self, hop: _Hop) -> ConvertedHop | None:
        """One hop through the lane; None for whatever goes wrong there."""
        try:
            converted = await self.seat.convert(await self._after_a_pause(hop))
        except LaneDown:
            self._metrics.engine_errors.labels("voice", "lane_down").inc()
            return None
        except (EngineFailed, MirageError):
            self._metrics.engine_errors.labels("voice", "raised").inc()
            return None
        self._note(converted)
        return converted

    async def _after_a_pause(self, hop: _Hop) -> Samples:
        """The hop; the first of a generation comes after silence, for the voice still holds what was said before.

        As much of it as a voice holds back is converted for nobody.
        """
        if hop.generation == self._spoken:
            return hop.samples
        for _ in range(ceil(PAUSE_MS * self._rate_hz / 1000 / len(hop.samples))):
            await self.seat.convert(np.zeros_like(hop.samples))
        self._spoken = hop.generation
        return hop.samples

    def _note(self, converted: ConvertedHop) -> None:
        """Count a hop: an imported voice by the time that passed, for on a GPU no CPU is busy meanwhile."""
        hop_ms = len(converted.samples) * 1000 / self._rate_hz
        ratio = (converted.cpu_ms if self.seat.ladder is None else converted.run_ms) / hop_ms
        self._metrics.voice.note(converted, ratio=ratio, hop_ms=hop_ms)
        self.ratio.add(ratio)
        self.accepted.add(float(ratio < ACCEPT_RATIO))
        if hop_ms > self._longest_ms:
            self._playout.cushion.renew()  # every hop is ready later from here on: that is no jitter
        self._longest_ms = round(hop_ms)

    def _joined(self, sound: SafeSound) -> SafeSound:
        """Without a click to the hop before."""
        afresh, self._voices = self.seat.voices > self._voices, self.seat.voices
        return self._seam.join(sound, afresh=afresh)

"""The voice's way through one call: hops -> voice lane -> gate -> frames. As many samples come out as go in.

The timeline is never stretched: a hop that cannot be converted leaves as silence of the same length, a hole in the
input is filled with silence, and silence that was sent because hops were late is paid back by dropping what piled up
behind them. So the delay stays what it was.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass

import numpy as np

from mirage_rtc.call_stats import Rolling
from mirage_rtc.clock import Clock, SyncRule
from mirage_rtc.errors import MirageError
from mirage_rtc.gate import SafeSound, SoundGate
from mirage_rtc.inference import EngineFailed, LaneDown
from mirage_rtc.metrics import Metrics
from mirage_rtc.seats import VoiceSeat
from mirage_rtc.voice_pipeline import ConvertedHop
from models.engines import Samples

logger = logging.getLogger(__name__)

BACKLOG_MS = 200
"""More input than this waiting: the oldest hops leave as silence at once, unconverted."""
CHUNK_BACKLOG_MS = 600
"""The same where sound comes in chunks of up to 400 ms."""
REANCHOR_S = 0.5
"""A hole longer than this is a pause, not a loss: it is not filled, and nothing is paid back for it."""
STARVED_S = 0.1
SLACK_FRAMES, SLACK_S = 10, 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hop:
    samples: Samples
    capture_s: float
    generation: int


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
        self._rate_hz = seat.sample_rate_hz
        self._hop_samples = seat.hop_ms * seat.sample_rate_hz // 1000
        self._frame_samples = frame_samples
        self._fill = fill
        self._backlog_ms = BACKLOG_MS if fill else CHUNK_BACKLOG_MS
        self._sync = sync
        self._clock = clock
        self._metrics = metrics
        self._pending = np.zeros(0, np.float32)
        self._pending_s = 0.0
        self._expected: int | None = None
        self._hops: deque[_Hop] = deque()
        self._arrived = asyncio.Event()
        self._ready: deque[SafeSound] = deque()
        self._rest: list[SafeSound] = []
        self._sent = asyncio.Event()
        self._owed = 0
        self._started = False
        self._next_due_s = 0.0
        self._head_s = clock()
        self._slack_s = float("inf")
        self._paced = 0

    def push(self, samples: Samples, *, capture_s: float, position: int | None = None) -> None:
        """Add samples captured from `capture_s` on. Their index on the sender's timeline, `position`, shows holes."""
        hole = self._hole(position, len(samples))
        if hole:
            samples = np.concatenate([np.zeros(hole, np.float32), samples])
            capture_s -= hole / self._rate_hz
        self._pending_s = capture_s - len(self._pending) / self._rate_hz
        self._pending = np.concatenate([self._pending, samples])
        while len(self._pending) >= self._hop_samples:
            self._cut_hop()

    def flush(self) -> None:
        """Whatever is on its way leaves as silence."""
        self.gate.flush()

    async def run(self) -> None:
        """Move hops until cancelled."""
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
            self._leave(sound)

    async def next(self) -> SafeSound:
        """The next frame that may be sent: exactly `frame_samples`, paced on the WebRTC path."""
        sound = await self._wait()
        if sound.generation != self.gate.generation:
            sound = self.gate.silence(len(sound.samples), capture_s=sound.capture_s)
        if self._fill:
            await self._pace(len(sound.samples))
        self._head_s = sound.capture_s + len(sound.samples) / self._rate_hz
        self._sync.audio_sent(self._head_s)
        return sound

    def _hole(self, position: int | None, count: int) -> int:
        """How many samples are missing before this push."""
        if position is None:
            return 0
        expected, self._expected = self._expected, position + count
        hole = 0 if expected is None else position - expected
        if abs(hole) > REANCHOR_S * self._rate_hz:
            self._owed = 0
            return 0
        return max(0, hole)

    def _cut_hop(self) -> None:
        samples, self._pending = self._pending[: self._hop_samples], self._pending[self._hop_samples :]
        self._hops.append(_Hop(samples=samples, capture_s=self._pending_s, generation=self.gate.generation))
        self._pending_s += self._hop_samples / self._rate_hz
        self._arrived.set()

    async def _process(self, hop: _Hop) -> SafeSound:
        self.hops += 1
        if self.gate.passthrough:
            return self.gate.raw(hop.samples, capture_s=hop.capture_s, generation=hop.generation)
        converted = None if self._behind() else await self._convert(hop)
        if converted is None:
            self.hops_silent += 1
            return self.gate.silence(len(hop.samples), capture_s=hop.capture_s)
        capture_s = hop.capture_s - self.seat.delay_ms / 1000.0
        return self.gate.converted(converted.samples, capture_s=capture_s, generation=hop.generation)

    def _behind(self) -> bool:
        return len(self._hops) * self.seat.hop_ms > self._backlog_ms

    async def _convert(self, hop: _Hop) -> ConvertedHop | None:
        """One hop through the lane; None for whatever goes wrong there."""
        try:
            converted = await self.seat.convert(hop.samples)
        except LaneDown:
            self._metrics.engine_errors.labels("voice", "lane_down").inc()
            return None
        except (EngineFailed, MirageError):
            self._metrics.engine_errors.labels("voice", "raised").inc()
            return None
        ratio = converted.cpu_ms / self.seat.hop_ms
        self._metrics.observe_hop(ratio)
        self.ratio.add(ratio)
        return converted

    def _leave(self, sound: SafeSound) -> None:
        """Cut what may be sent into frames, less what is owed."""
        self._rest.append(sound)
        while sum(len(part.samples) for part in self._rest) >= self._frame_samples:
            frame = self._take_frame()
            if self._owed > 0 and self._hops:
                self._owed -= self._frame_samples
                continue
            if self._fill and frame.kind == "silent" and self._crowded():
                continue  # silence need not wait behind sound, and what follows need not wait behind silence
            self._ready.append(frame)
            self._sent.set()
        if not self._hops:
            self._owed = 0  # nothing is behind: the silence stood for sound that never came
        while len(self._ready) * self._frame_samples > 2 * self._backlog_ms * self._rate_hz // 1000:
            self._ready.popleft()

    def _crowded(self) -> bool:
        """Whether more is ready than one hop leaves."""
        return len(self._ready) * self._frame_samples > self._hop_samples

    def _take_frame(self) -> SafeSound:
        """The first `frame_samples` of `_rest`; of several kinds, the strictest generation is kept."""
        first = self._rest[0]
        samples = np.concatenate([part.samples for part in self._rest])
        frame, left = samples[: self._frame_samples], samples[self._frame_samples :]
        last = self._rest[-1]
        generation = min(part.generation for part in self._rest)
        left_s = first.capture_s + self._frame_samples / self._rate_hz
        self._rest = []
        if len(left):
            self._rest = [SafeSound(samples=left, capture_s=left_s, kind=last.kind, generation=last.generation)]
        return SafeSound(samples=frame, capture_s=first.capture_s, kind=last.kind, generation=generation)

    async def _wait(self) -> SafeSound:
        while not self._ready:
            self._sent.clear()
            try:
                async with asyncio.timeout(self._patience_s()):
                    await self._sent.wait()
            except TimeoutError:
                return self._starved()
        self._started = True
        return self._ready.popleft()

    def _patience_s(self) -> float | None:
        """How long to wait before silence stands in; for ever until the voice began."""
        if not (self._fill and self._started):
            return None
        return max(0.0, self._next_due_s + STARVED_S - self._clock()) if self._owed == 0 else 0.02

    def _starved(self) -> SafeSound:
        self._owed += self._frame_samples
        return self.gate.silence(self._frame_samples, capture_s=self._head_s)

    async def _pace(self, count: int) -> None:
        """Leave at the sample clock's pace, so that the two frames of a hop do not burst."""
        early_s = self._next_due_s - self._clock()
        if early_s < -STARVED_S:
            self._next_due_s = self._clock()
        elif early_s > 0:
            await asyncio.sleep(early_s)
        self._next_due_s += count / self._rate_hz
        self._take_slack(max(0.0, early_s))

    def _take_slack(self, early_s: float) -> None:
        """A fifth of a second in which every frame had to wait holds a delay that nothing needs: take it out."""
        self._slack_s = min(self._slack_s, early_s)
        self._paced += 1
        if self._paced < SLACK_FRAMES:
            return
        if self._slack_s > SLACK_S:
            self._next_due_s -= self._slack_s
        self._slack_s, self._paced = float("inf"), 0

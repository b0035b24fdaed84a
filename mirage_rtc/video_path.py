"""The picture's way through one call: mailbox -> face lane -> gate -> line. Newest wins at the way in; at the way out a
picture waits for the voice that belongs to it.

Pushed by `tracks` (WebRTC) or the chunk path, run by one task of the leg, read by the sender. Nothing here can raise
towards a sender: whatever fails becomes the gate's fallback.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from mirage_rtc.badge import I420
from mirage_rtc.call_stats import Rolling
from mirage_rtc.clock import Clock
from mirage_rtc.errors import MirageError
from mirage_rtc.gate import PictureGate, SafePicture
from mirage_rtc.inference import EngineFailed, LaneDown, Late
from mirage_rtc.lip_sync import SyncRule
from mirage_rtc.mailbox import Mailbox
from mirage_rtc.metrics import Metrics
from mirage_rtc.seats import FaceSeat
from mirage_rtc.swap_pipeline import SwappedFrame
from models.engines import Enhancement

logger = logging.getLogger(__name__)

IDLE_S = 0.25
"""Without a picture for this long the gate's fallback is sent: the far end sees it covered, not stalled."""
LINE_PICTURES = 8
"""Pictures that may wait for their voice; the oldest goes first."""
FRESH_PICTURES = 2
"""So many pictures' time one may wait for the lane, or until its voice is due: then a newer one serves better."""
_RATES_HZ = (10.0, 60.0)
"""Bounds of the rate by which that is measured."""
_WAIT_MIN_S = 0.001
"""A picture this early leaves at once: a timer is no finer."""
DEFAULT_SIZE_PX = (512, 512)

MakePicture = Callable[[], I420]
"""Makes the I420 picture of something decoded; called only for pictures that are used, off the event loop if costly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Incoming:
    make: MakePicture
    capture_s: float
    arrived_s: float
    generation: int
    is_cheap: bool


class VideoPath:
    """One call's pictures. `hold_s` says how long after its capture a picture should leave."""

    def __init__(
        self,
        *,
        seat: FaceSeat,
        gate: PictureGate,
        sync: SyncRule,
        clock: Clock,
        metrics: Metrics,
        hold_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.seat = seat
        self.gate = gate
        self.muted = False
        self.mixed = False  # there is a mapping: even while passthrough is on, pictures go through the lane
        self.size_px = DEFAULT_SIZE_PX
        self.arrivals = Rolling(clock)
        self.cpu_ms = Rolling(clock)
        self._sync = sync
        self._clock = clock
        self._metrics = metrics
        self._hold_s = hold_s
        self._incoming: Mailbox[_Incoming] = Mailbox()
        self._line: deque[SafePicture] = deque()
        self._lined_up = asyncio.Event()
        self._overtaken = 0
        self._late = 0
        self._early_s = 0.0
        self._time_s = 0.0
        self._enhancement = Enhancement()
        self.on_enhancement: Callable[[Enhancement], None] = lambda _: None
        self._since_detection = 0

    @property
    def dropped(self) -> int:
        """Pictures dropped on purpose: overwritten before inference or before encoding, too late for lane or voice."""
        return self._incoming.dropped + self._overtaken + self._late + self._sync.late

    def push(self, make: MakePicture, *, size_px: tuple[int, int], capture_s: float, is_cheap: bool = False) -> None:
        """Leave the newest raw picture. `is_cheap` says that making it costs less than a thread's turn."""
        self.size_px = size_px
        self._metrics.frames_in.inc()
        self.arrivals.add()
        generation, before = self.gate.generation, self._incoming.dropped
        self._incoming.put(
            _Incoming(make=make, capture_s=capture_s, arrived_s=self._clock(), generation=generation, is_cheap=is_cheap)
        )
        self._metrics.pictures.dropped("newer", self._incoming.dropped - before)

    def flush(self) -> None:
        """Forget every picture on its way: it is of another identity, or raw."""
        self.gate.flush()
        self._incoming.clear()
        self._line.clear()

    async def run(self) -> None:
        """Move pictures until cancelled."""
        while True:
            incoming = await self._incoming.get()
            try:
                safe = await self._process(incoming)
            except Late:  # as if it had not come: what is shown meanwhile is decided where pictures are missed
                self._late += 1
                self._metrics.pictures.dropped("expired")
                continue
            except Exception:  # a fault of ours covers one picture; an ended task would cover the call
                logger.exception("a picture was not processed")
                safe = self.gate.fallback(self.size_px)
            self._leave(safe)

    async def next(self) -> SafePicture:
        """The next picture that may be sent, when its voice is due; the gate's fallback when none comes."""
        while True:
            safe = await self._wait()
            if safe.kind in ("live", "passthrough"):
                safe = await self._aligned(safe)
            if safe.generation != self.gate.generation:
                continue
            if self._sync.passes(safe.capture_s, self._clock()):
                self._metrics.pictures_out.labels(safe.kind).inc()
                return safe
            self._metrics.pictures.dropped("late")

    async def _aligned(self, safe: SafePicture) -> SafePicture:
        """Wait for the voice of a picture; when pictures were off for long, the newest one instead, and no waiting."""
        early_s = safe.capture_s + self._held_s() - self._clock()
        if early_s > _WAIT_MIN_S:
            await asyncio.sleep(early_s)
        drift_s = self._sync.drift_s(safe.capture_s)
        if drift_s > 0.0:
            self._early_s = 0.0
        if drift_s >= 0.0:
            return safe
        self._early_s += -drift_s
        self._overtake(len(self._line))
        newest = self._line.pop() if self._line else safe
        self._line.clear()
        return newest

    def _held_s(self) -> float:
        """How long after its capture a picture leaves."""
        return max(0.0, self._hold_s() - self._early_s)

    def _leave(self, safe: SafePicture) -> None:
        due_s = self._clock() - self._held_s()
        while self._line and (len(self._line) >= LINE_PICTURES or self._line[0].capture_s < due_s):
            self._line.popleft()  # a newer one is here and this one's time has passed
            self._overtake(1)
        self._line.append(safe)
        self._lined_up.set()

    async def _wait(self) -> SafePicture:
        patience_s = min(IDLE_S, self.gate.freeze_left_s() or IDLE_S)
        try:
            async with asyncio.timeout(patience_s):
                while not self._line:
                    self._lined_up.clear()
                    await self._lined_up.wait()
        except TimeoutError:
            return self.gate.fallback(self.size_px)
        return self._line.popleft()

    async def _process(self, incoming: _Incoming) -> SafePicture:
        if self.muted:
            return self.gate.fallback(self.size_px)
        raw = incoming.make() if incoming.is_cheap else await asyncio.to_thread(incoming.make)
        if self.gate.passthrough and not self.mixed:
            passed = self.gate.raw(raw, capture_s=incoming.capture_s, generation=incoming.generation)
            return passed or self.gate.fallback(self.size_px)
        swapped = await self._swap(raw, incoming)
        if self.muted or incoming.generation != self.gate.generation:
            return self.gate.fallback(self.size_px)
        if swapped is None:
            return self.gate.fallback(self.size_px, raw)
        safe = self.gate.swapped(
            swapped.i420, swapped.faces, capture_s=incoming.capture_s, generation=incoming.generation
        )
        return safe or self.gate.fallback(self.size_px, raw)

    async def _swap(self, raw: I420, incoming: _Incoming) -> SwappedFrame | None:
        """One picture through the lane; None for whatever goes wrong there. Raises Late."""
        self._time_s = max(self._time_s, incoming.capture_s)  # trackers forget when time runs back
        before_ms = (self._clock() - incoming.arrived_s) * 1000
        try:
            swapped = await self.seat.swap(raw, self._time_s, patience_s=self._patience_s(incoming.capture_s))
        except LaneDown:
            self._metrics.engine_errors.labels("face", "lane_down").inc()
            return None
        except (EngineFailed, MirageError):
            self._metrics.engine_errors.labels("face", "raised").inc()
            return None
        self._observe(swapped, queue_ms=before_ms + swapped.waited_ms)
        return swapped

    def _observe(self, swapped: SwappedFrame, *, queue_ms: float) -> None:
        self._note(swapped.enhancement)
        self._metrics.observe_stages("face", swapped.stage_ms, swapped.cpu_ms)
        scores = (face.score for face in swapped.faces)
        self._metrics.pictures.swapped({"queue": queue_ms, **swapped.wall_ms}, scores, batch=swapped.batch)
        self.cpu_ms.add(swapped.cpu_ms)
        self._since_detection += 1
        if "detect" in swapped.wall_ms:
            self._metrics.pictures.detected(self._since_detection)
            self._since_detection = 0

    def _patience_s(self, capture_s: float) -> float:
        """How long a picture may wait for the lane: less when it would be dropped for its voice's sake."""
        now_s = self._clock()
        interval_s = 1.0 / min(max(self.arrivals.per_second(), _RATES_HZ[0]), _RATES_HZ[1])
        spare_s = capture_s + self._held_s() - now_s
        return min(max(FRESH_PICTURES * interval_s, spare_s), self._sync.left_s(capture_s, now_s))

    def _overtake(self, count: int) -> None:
        self._overtaken += count
        self._metrics.pictures.dropped("overtaken", count)

    def _note(self, enhancement: Enhancement) -> None:
        """Count a fault of the enhancer, which cost no picture, and tell a change of it."""
        if enhancement.fault:
            self._metrics.engine_errors.labels("face", enhancement.fault).inc()
        now = replace(enhancement, fault="")
        if now != self._enhancement:
            self._enhancement = now
            self.on_enhancement(now)

"""The picture's way through one call: mailbox -> face lane -> gate -> slot. Newest wins at both ends.

Pushed by `tracks` (WebRTC) or the chunk path, run by one task of the session, read by the sender. Nothing here can
raise towards a sender: whatever fails becomes the gate's fallback.
"""

import asyncio
import logging
from dataclasses import dataclass

from mirage_rtc.badge import I420
from mirage_rtc.call_stats import Rolling
from mirage_rtc.clock import Clock, SyncRule
from mirage_rtc.errors import MirageError
from mirage_rtc.gate import PictureGate, SafePicture
from mirage_rtc.inference import EngineFailed, LaneDown
from mirage_rtc.mailbox import Mailbox
from mirage_rtc.metrics import Metrics
from mirage_rtc.seats import FaceSeat
from mirage_rtc.swap_pipeline import SwappedFrame

logger = logging.getLogger(__name__)

IDLE_S = 0.25
"""Without a picture for this long the gate's fallback is sent: the far end sees it covered, not stalled."""
DEFAULT_SIZE_PX = (512, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Incoming:
    i420: I420
    capture_s: float
    generation: int


class VideoPath:
    """One call's pictures."""

    def __init__(self, *, seat: FaceSeat, gate: PictureGate, sync: SyncRule, clock: Clock, metrics: Metrics) -> None:
        self.seat = seat
        self.gate = gate
        self.muted = False
        self.size_px = DEFAULT_SIZE_PX
        self.arrivals = Rolling(clock)
        self.cpu_ms = Rolling(clock)
        self._sync = sync
        self._clock = clock
        self._metrics = metrics
        self._incoming: Mailbox[_Incoming] = Mailbox()
        self._outgoing: Mailbox[SafePicture] = Mailbox()

    @property
    def dropped(self) -> int:
        """Pictures dropped on purpose: overwritten before inference or before encoding, or too late for the voice."""
        return self._incoming.dropped + self._outgoing.dropped + self._sync.late

    def push(self, i420: I420, *, capture_s: float) -> None:
        """Leave the newest raw picture."""
        self.size_px = (i420.shape[1], i420.shape[0] * 2 // 3)
        self._metrics.frames_in.inc()
        self.arrivals.add()
        self._incoming.put(_Incoming(i420=i420, capture_s=capture_s, generation=self.gate.generation))

    def flush(self) -> None:
        """Forget every picture on its way: it is of another identity, or raw."""
        self.gate.flush()
        self._incoming.clear()
        self._outgoing.clear()

    async def run(self) -> None:
        """Move pictures until cancelled."""
        while True:
            incoming = await self._incoming.get()
            try:
                safe = await self._process(incoming)
            except Exception:  # a fault of ours covers one picture; an ended task would cover the call
                logger.exception("a picture was not processed")
                safe = self.gate.fallback(self.size_px)
            self._outgoing.put(safe)

    async def next(self) -> SafePicture:
        """The next picture that may be sent; the gate's fallback when none comes."""
        while True:
            safe = await self._wait()
            if safe.generation == self.gate.generation and self._sync.passes(safe.capture_s, self._clock()):
                self._metrics.pictures_out.labels(safe.kind).inc()
                return safe

    async def _wait(self) -> SafePicture:
        try:
            async with asyncio.timeout(IDLE_S):
                return await self._outgoing.get()
        except TimeoutError:
            return self.gate.fallback(self.size_px)

    async def _process(self, incoming: _Incoming) -> SafePicture:
        if self.muted:
            return self.gate.fallback(self.size_px)
        if self.gate.passthrough:
            raw = self.gate.raw(incoming.i420, capture_s=incoming.capture_s, generation=incoming.generation)
            return raw or self.gate.fallback(self.size_px)
        swapped = await self._swap(incoming)
        if swapped is None:
            return self.gate.fallback(self.size_px, incoming.i420)
        safe = self.gate.swapped(
            swapped.i420, swapped.faces, capture_s=incoming.capture_s, generation=incoming.generation
        )
        return safe or self.gate.fallback(self.size_px, incoming.i420)

    async def _swap(self, incoming: _Incoming) -> SwappedFrame | None:
        """One picture through the lane; None for whatever goes wrong there."""
        try:
            swapped = await self.seat.swap(incoming.i420, incoming.capture_s)
        except LaneDown:
            self._metrics.engine_errors.labels("face", "lane_down").inc()
            return None
        except (EngineFailed, MirageError):
            self._metrics.engine_errors.labels("face", "raised").inc()
            return None
        self._metrics.observe_stages("face", swapped.stage_ms, swapped.cpu_ms)
        self.cpu_ms.add(swapped.cpu_ms)
        return swapped

"""A call's seat in a voice lane, what it tells, and the hops that are said in it. For tests of seats."""

import asyncio
import time
from typing import Any, cast

import numpy as np

from mirage_rtc.inference import EngineFailed, Lane, LaneDown
from mirage_rtc.voice_seat import FellBack, VoiceSeat
from models.engines import Samples, VoiceSettings
from tests import virtual_time
from tests.lane_here import LaneHere

ROBOT = VoiceSettings(preset="robot")
EIGHTH = VoiceSettings(preset="rvc:eighth")


class Seated:
    """A seat, what it told, and the hops that were said in it."""

    def __init__(self, lane: LaneHere | Lane, settings: VoiceSettings, *, call_id: str = "one") -> None:
        self.lane = lane
        self.fell: list[FellBack] = []
        self.changes: list[tuple[str, bool, bool]] = []
        self.hops_ms: list[int] = []
        self.seat = VoiceSeat(
            cast(Any, lane),
            call_id=call_id,
            sample_rate_hz=48_000,
            hop_ms=40,
            settings=settings,
            fallback=ROBOT,
            on_fallback=self.fell.append,
            on_change=self._note,
        )

    def _note(self) -> None:
        self.changes.append((self.seat.engine, self.seat.over_budget, self.seat.is_preparing))

    async def say(self, hops: int = 1, level: float = 0.8) -> Samples:
        """Hops as long as the seat wants them; what came out, silence for a hop that failed."""
        heard = []
        for _ in range(hops):
            self.hops_ms.append(self.seat.hop_ms)
            hop = np.full(48 * self.seat.hop_ms, level, np.float32)
            try:
                converted = await self.seat.convert(hop)
            except (LaneDown, EngineFailed):
                heard.append(np.zeros_like(hop))
            else:
                heard.append(converted.samples)
            await self.seat.advance()
        return np.concatenate(heard)

    async def until(self, engine: str) -> None:
        """Speak until this engine does."""
        async with asyncio.timeout(600):
            while self.seat.engine != engine or self.seat.is_preparing:
                await self.say()
                time.sleep(0.001)  # noqa: ASYNC251 - in virtual time a loading thread would get no turn
                await asyncio.sleep(0.01)


def run(settings: VoiceSettings, play: Any, lane: LaneHere | None = None) -> Seated:
    """Play a scene in virtual time."""
    seated = Seated(lane or LaneHere(), settings)
    virtual_time.run(play(seated))
    return seated

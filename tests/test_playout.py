"""Frames leave at the pace of the sample clock, in virtual time."""

import asyncio

import numpy as np

from mirage_rtc.gate import SafeSound, SoundGate
from mirage_rtc.playout import Playout
from tests import virtual_time
from tests.virtual_time import FakeClock

FRAME = 960


def _playout(clock: FakeClock, gate: SoundGate) -> Playout:
    return Playout(
        gate=gate, clock=clock, rate_hz=48_000, frame_samples=FRAME, hop_samples=2 * FRAME, most_ms=400, fill=True
    )


def test_the_two_frames_of_a_hop_do_not_leave_at_once() -> None:
    """A hop of 40 ms is two frames 20 ms apart."""
    clock, gate = FakeClock(), SoundGate(on_kind=lambda _: None)

    async def call() -> list[float]:
        playout, left_s = _playout(clock, gate), []
        sound = SafeSound(samples=np.ones(2 * FRAME, np.float32), capture_s=clock(), kind="live", generation=0)
        playout.put(sound, behind=False)
        for _ in range(2):
            async with asyncio.timeout(1):
                await playout.next()
            left_s.append(clock())
        return left_s

    first_s, second_s = virtual_time.run(call(), clock)
    assert abs(second_s - first_s - 0.02) < 1e-6

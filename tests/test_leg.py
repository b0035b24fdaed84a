"""A leg: two paths and their figures."""

import numpy as np

from mirage_rtc.gate import SafePicture
from mirage_rtc.leg import Leg
from tests.call_parts import Hands, lanes, leg_parts, picture


async def test_only_fresh_pictures_count_for_latency() -> None:
    """A card has no capture time worth measuring; a live picture has."""
    async with lanes() as (face, voice):
        clock = Hands()
        leg = Leg(leg_parts(face, voice, clock), sample_rate_hz=48_000, frame_samples=960, fill=True)
        for kind, age_s in (("live", 0.030), ("card", 5.0), ("frozen", 5.0)):
            safe = SafePicture(i420=picture(), capture_s=clock.now_s - age_s, kind=kind, generation=0)  # type: ignore[arg-type]
            leg.picture_sent(safe)
        await leg.close()

    assert abs(leg.video_ms.median() - 30.0) < 0.1
    assert leg.pictures.per_second() == 6.0


async def test_closing_twice_is_quiet_and_ends_the_tasks() -> None:
    """After `close` nothing moves any more."""
    async with lanes() as (face, voice):
        leg = Leg(leg_parts(face, voice, Hands()), sample_rate_hz=48_000, frame_samples=960, fill=True)
        await leg.close()
        await leg.close()
        leg.audio.push(np.zeros(1920, np.float32), capture_s=0.0)

    assert not leg._tasks
    assert leg.audio.hops == 0

"""A call's seat in a lane survives the lane's worker."""

import asyncio

import pytest

from mirage_rtc.inference import LaneDown
from mirage_rtc.seats import FaceSeat
from tests.call_parts import MASK_A, MASK_B, SHADE_A, SHADE_B, lanes, luma, picture


async def test_a_face_seat_follows_what_is_worn_and_a_new_worker() -> None:
    """The identity changes at the next swap, and is worn again after the worker was lost."""
    async with lanes() as (face, _):
        seat = FaceSeat(face, call_id="one", max_faces=1)
        seat.wear(MASK_A)
        assert abs(luma((await seat.swap(picture(), 0.0)).i420) - SHADE_A) < 3
        seat.wear(MASK_B)
        assert abs(luma((await seat.swap(picture(), 0.1)).i420) - SHADE_B) < 3
        assert face._worker is not None
        face._worker.kill()
        with pytest.raises(LaneDown):
            await seat.swap(picture(), 0.2)
        async with asyncio.timeout(30):
            while face.state != "ready":  # noqa: ASYNC110 - a lane sets no event
                await asyncio.sleep(0.01)
        assert abs(luma((await seat.swap(picture(), 0.3)).i420) - SHADE_B) < 3
        await seat.close()


async def test_closing_a_seat_of_a_dead_lane_is_quiet() -> None:
    """A call ends cleanly when its lane is gone."""
    async with lanes() as (face, _):
        await face.close()
        await FaceSeat(face, call_id="one", max_faces=1).close()

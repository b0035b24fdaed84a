"""A call's seat in a lane survives the lane's worker."""

import asyncio

import numpy as np
import pytest

from mirage_rtc.inference import EngineFailed, LaneDown
from mirage_rtc.seats import FaceSeat, VoiceSeat
from models.engines import VoiceSettings
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


async def test_a_voice_seat_follows_its_settings() -> None:
    """The voice changes at the next hop; a failing hop is an EngineFailed and no more."""
    hop = np.full(1920, 0.8, np.float32)
    async with lanes() as (_, voice):
        seat = VoiceSeat(voice, call_id="one", sample_rate_hz=48_000, hop_ms=40, settings=VoiceSettings())
        assert np.allclose((await seat.convert(hop)).samples, 0.4)
        seat.set_voice(VoiceSettings(preset="robot"))
        assert np.allclose((await seat.convert(hop)).samples, 0.2)
        with pytest.raises(EngineFailed):
            await seat.convert(np.ones(1920, np.float32))
        assert np.allclose((await seat.convert(hop)).samples, 0.2)
        await seat.close()


async def test_closing_a_seat_of_a_dead_lane_is_quiet() -> None:
    """A call ends cleanly when its lane is gone."""
    async with lanes() as (face, voice):
        await face.close()
        await FaceSeat(face, call_id="one", max_faces=1).close()
        await voice.close()
        seat = VoiceSeat(voice, call_id="one", sample_rate_hz=16_000, hop_ms=40, settings=VoiceSettings())
        await seat.close()


async def test_a_voice_seat_can_be_opened_before_its_first_hop() -> None:
    """The worker has its state then; with a lane that is down nothing is raised, and `convert` says why."""
    async with lanes() as (_, voice):
        seat = VoiceSeat(voice, call_id="one", sample_rate_hz=48_000, hop_ms=40, settings=VoiceSettings())
        await seat.open()
        assert seat._epoch == voice.epoch
        await seat.close()
        await voice.close()
        late = VoiceSeat(voice, call_id="two", sample_rate_hz=48_000, hop_ms=40, settings=VoiceSettings())
        await late.open()
        with pytest.raises(LaneDown):
            await late.convert(np.zeros(1920, np.float32))

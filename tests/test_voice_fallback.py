"""What becomes of an imported voice that is unable: the embedded one takes its place, the person is told, once."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mirage_rtc.inference import EngineFailed, Lane
from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.voice_seat import SENTENCES, UNABLE
from models.engines import VoiceSettings
from models.imported_voices import DELAY_MS
from tests.lane_here import LaneHere
from tests.seated import EIGHTH, ROBOT, Seated, run

RACK = LaneSpec(engine="tests.scripted_voices:rack", pipeline="mirage_rtc.voice_pipeline:VoicePipeline")


def test_a_voice_that_is_too_slow_at_every_hop_gives_way_to_the_embedded_one() -> None:
    """0.9 of real time for 40 hops: told once, and from the next hop on another voice speaks, as late as before."""

    async def play(one: Seated) -> None:
        await one.until("rvc")
        while one.seat.ladder and one.seat.ladder.hops < 39:
            await one.say()
        assert one.fell == []
        await one.say()
        [fell] = one.fell
        assert (fell.reason, fell.code, fell.to) == ("slow", "voice_slow", ROBOT)
        heard = await one.say(10)
        assert np.allclose(heard[-1920:], 0.2)

    seated = run(EIGHTH, play, LaneHere(lambda engine, hop_ms: 0.9 * hop_ms if engine == "rvc" else 4.0))
    assert (seated.seat.engine, seated.seat.hop_ms, seated.seat.delay_ms) == ("embedded", 40, DELAY_MS)
    assert len(seated.fell) == 1


@pytest.mark.parametrize("preset", ["rvc:eighth", "rvc:gone"])
@pytest.mark.parametrize(
    ("microphone", "level"),
    [({"input_gain_db": -20.0}, 0.02), ({"gate_db": -30.0}, 0.0), ({"denoise": True, "gate_db": -50.0}, 0.0)],
)
def test_the_microphone_stays_as_it_was_set(preset: str, microphone: dict[str, Any], level: float) -> None:
    """Of a voice that is too slow and of one that is refused; a steady level is no speech, and the gate shuts it out.

    The voice's own controls are the embedded voice's.
    """
    worn = VoiceSettings(preset=preset, pitch_semitones=5.0, **microphone)

    async def play(one: Seated) -> None:
        await one.say(25)
        one.seat.set_voice(worn)
        while not one.fell:
            await one.say()
            await asyncio.sleep(0)
        assert np.allclose((await one.say(60))[-1920:], level, atol=1e-3)

    [fell] = run(VoiceSettings(), play, LaneHere(lambda engine, hop_ms: 0.9 * hop_ms if engine == "rvc" else 4.0)).fell
    assert fell.to == replace(ROBOT, **microphone)


def test_a_hop_of_the_former_length_is_no_hop_of_the_embedded_voice() -> None:
    """One that was cut before the fall-back is silent: an error, the lane is not asked, the next one is converted."""

    async def play(one: Seated) -> None:
        await one.until("rvc")
        await one.say(130)
        assert one.seat.engine == "embedded"
        with pytest.raises(EngineFailed):
            await one.seat.convert(np.full(48 * 60, 0.8, np.float32))
        assert (await one.say(10))[-1] == pytest.approx(0.2)

    seated = run(EIGHTH, play, LaneHere(lambda engine, hop_ms: 0.9 * hop_ms if engine == "rvc" else 4.0))
    assert len(seated.fell) == 1


def test_hops_that_were_left_out_count_where_the_voice_is_to_blame() -> None:
    """Behind a slow hop they are slow; behind a quick one the network was late, and nothing is said of the voice."""
    cost = {"rvc": 10.0, "embedded": 4.0}

    async def play(one: Seated) -> None:
        await one.until("rvc")
        for _ in range(60):
            one.seat.skip(40)
        assert one.fell == []
        cost["rvc"] = 1000.0
        await one.say(1)
        for _ in range(39):
            one.seat.skip(40)

    assert [fell.reason for fell in run(EIGHTH, play, LaneHere(lambda engine, _: cost[engine])).fell] == ["slow"]


def test_a_voice_that_raises_gives_way_at_once() -> None:
    """The hop it raised over is silent; the next is the embedded voice's."""

    async def play(one: Seated) -> None:
        await one.say(25, level=0.0)
        one.seat.set_voice(VoiceSettings(preset="rvc:raises"))
        while one.seat.engine != "rvc":
            await one.say(level=0.0)
        assert not (await one.say()).any()
        assert (await one.say(4))[-1] == pytest.approx(0.2)

    assert [fell.code for fell in run(VoiceSettings(), play).fell] == ["voice_raised"]


@pytest.mark.parametrize(
    ("preset", "code", "said", "logged"),
    [
        ("rvc:refused", "voice_not_loaded", UNABLE, "The network cannot be loaded: free some memory."),
        ("rvc:gone", "voice_unknown", SENTENCES["voice_unknown"], "There is no such voice."),
    ],
)
def test_a_voice_that_cannot_be_loaded_is_refused_and_why_is_for_the_operator_only(
    preset: str, code: str, said: str, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By the runtime or by the store, which may name paths; whoever spoke goes on without a silent hop."""

    async def play(one: Seated) -> None:
        await one.say(25)
        one.seat.set_voice(VoiceSettings(preset=preset))
        while not one.fell:
            assert (await one.say()).all()
            await asyncio.sleep(0)
        assert np.allclose((await one.say(3))[-1920:], 0.2)
        assert not one.seat.is_preparing

    [fell] = run(VoiceSettings(), play).fell
    assert (fell.reason, fell.code, fell.sentence) == ("refused", code, said)
    [record] = caplog.records
    assert (vars(record)["code"], vars(record)["sentence"]) == (code, logged)


def test_another_imported_voice_that_is_refused_leaves_without_a_gap() -> None:
    """The one in force speaks until the embedded one has caught up."""

    async def play(one: Seated) -> None:
        await one.until("rvc")
        await one.say(30)
        one.seat.set_voice(VoiceSettings(preset="rvc:gone"))
        heard = await one.say(20)
        assert heard.min() >= 0.09
        assert heard[-1] == pytest.approx(0.2)

    assert [fell.code for fell in run(EIGHTH, play).fell] == ["voice_unknown"]


def test_a_voice_whose_worker_dies_twice_in_a_row_gives_way() -> None:
    """Once it is loaded again; a good hop in between forgives."""
    lane = LaneHere()

    async def play(one: Seated) -> None:
        for _ in range(3):
            await one.until("rvc")
            await one.say(2)
            lane.lose_over_a_hop()
            await one.say(1)
        assert one.fell == []
        await one.say(2)
        one.seat.set_voice(VoiceSettings(preset="rvc:tenth"))
        lane.lose_over_preparing()
        await one.say(1)
        lane.lose_over_a_hop()
        await one.say(1)
        assert [fell.reason for fell in one.fell] == ["killed"]
        await one.say(8)
        assert one.seat.engine == "embedded"

    run(EIGHTH, play, lane)


def test_a_worker_that_dies_of_something_else_is_not_held_against_the_voice() -> None:
    """It speaks again once it is loaded, however often that happens, at the delay that the call had."""
    lane = LaneHere()

    async def play(one: Seated) -> None:
        for _ in range(4):
            await one.until("rvc")
            lane.lose()
            await one.say(2)
            assert one.seat.delay_ms == DELAY_MS
        await one.until("rvc")

    assert run(EIGHTH, play, lane).fell == []


def test_after_falling_back_the_voice_can_be_chosen_again() -> None:
    """A new ladder, and a new count."""

    async def play(one: Seated) -> None:
        await one.until("rvc")
        await one.say(45)
        assert len(one.fell) == 1
        one.lane.cost_ms = lambda engine, hop_ms: 4.0  # type: ignore[union-attr]
        one.seat.set_voice(VoiceSettings(preset="rvc:eighth"))
        await one.until("rvc")
        await one.say(100)

    assert len(run(EIGHTH, play, LaneHere(lambda engine, hop_ms: 0.9 * hop_ms)).fell) == 1


async def test_a_voice_that_kills_its_worker_falls_back_and_the_lane_serves_on() -> None:
    """In a real worker, which dies of every loud hop of this voice: after the second the embedded one speaks."""
    lane = Lane("voice", RACK)
    await lane.start()
    try:
        one = Seated(lane, VoiceSettings(preset="rvc:kills"))
        async with asyncio.timeout(180):
            while not one.fell:
                await one.say(level=0.8 if one.seat.engine == "rvc" else 0.0)
                await asyncio.sleep(0.02)
            while one.seat.engine != "embedded" or lane.state != "ready":
                await one.say()
                await asyncio.sleep(0.02)
        assert [fell.reason for fell in one.fell] == ["killed"]
        assert (await one.say(6))[-1] == pytest.approx(0.2)
    finally:
        await lane.close()

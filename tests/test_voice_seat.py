"""A call's seat in the voice lane: changes of voice, and the length of hops along the ladder."""

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

from mirage_rtc.inference import EngineFailed, Lane, LaneDown
from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.voice_pipeline import PrepareVoice
from mirage_rtc.voice_seat import VoiceSeat
from mirage_rtc.warm_up import MOST_MS
from models.engines import VoiceSettings
from models.imported_voices import DELAY_MS
from models.voice_rack import VoiceRack
from tests.call_parts import lanes
from tests.lane_here import LaneHere
from tests.scripted_voices import EMBEDDED_DELAY_MS, LEAVE, EmbeddedVoices, ScriptedImports
from tests.seated import EIGHTH, ROBOT, Seated, run

RACK = LaneSpec(engine="tests.scripted_voices:rack", pipeline="mirage_rtc.voice_pipeline:VoicePipeline")


async def test_a_voice_seat_follows_its_settings() -> None:
    """The voice changes at the next hop; a failing hop is an EngineFailed and no more."""
    hop = np.full(1920, 0.8, np.float32)
    async with lanes() as (_, voice):
        seat = VoiceSeat(voice, call_id="one", sample_rate_hz=48_000, hop_ms=40, settings=VoiceSettings())
        assert np.allclose((await seat.convert(hop)).samples, 0.4)
        seat.set_voice(ROBOT)
        assert np.allclose((await seat.convert(hop)).samples, 0.2)
        with pytest.raises(EngineFailed):
            await seat.convert(np.ones(1920, np.float32))
        assert np.allclose((await seat.convert(hop)).samples, 0.2)
        assert not seat.is_preparing
        await seat.close()


async def test_closing_a_seat_of_a_dead_lane_is_quiet() -> None:
    """A call ends cleanly when its lane is gone."""
    async with lanes() as (_, voice):
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


def test_an_imported_voice_is_prepared_while_the_old_one_speaks() -> None:
    """No hop in between is silent; then it speaks, and says so."""

    async def play(one: Seated) -> None:
        await one.say(25)
        one.seat.set_voice(EIGHTH)
        assert one.seat.is_preparing
        heard = await one.say(15)
        assert heard.min() >= 0.8 * 0.12
        assert np.allclose(heard[-1920:], 0.1)

    seated = run(VoiceSettings(), play)
    assert seated.seat.engine == "rvc"
    assert seated.seat.delay_ms == DELAY_MS
    assert seated.changes == [
        ("embedded", False, False),
        ("embedded", False, True),
        ("rvc", False, False),
    ]


def test_a_voice_is_not_warmed_while_another_call_s_hop_waits() -> None:
    """For a second and a half; then with one hop, whoever waits."""
    lane = LaneHere()

    async def play(one: Seated) -> None:
        await one.say(25)
        one.seat.set_voice(EIGHTH)
        lane._asked = 1
        await one.say(MOST_MS // 40)
        steps = [job.step.most_ms for job in lane.jobs if isinstance(job, PrepareVoice) and job.step]
        assert steps == [0] * (MOST_MS // 40)
        await one.say(3)
        assert one.seat.engine == "rvc"

    run(VoiceSettings(), play, lane)


def test_until_an_imported_voice_is_loaded_the_embedded_one_speaks() -> None:
    """Also where the call begins with it."""
    loaded = threading.Event()

    async def play(one: Seated) -> None:
        await one.seat.open()
        assert (one.seat.engine, one.seat.delay_ms) == ("embedded", EMBEDDED_DELAY_MS)
        assert (await one.say(5))[-1] == pytest.approx(0.2)
        assert one.seat.is_preparing
        loaded.set()
        await one.until("rvc")

    assert (
        run(EIGHTH, play, LaneHere(make=lambda: VoiceRack(EmbeddedVoices(), ScriptedImports(loaded.wait)))).fell == []
    )


def test_the_controls_of_an_imported_voice_move_without_a_change_of_voice() -> None:
    """An octave makes the scripted voice half as loud, from the next hop on."""

    async def play(one: Seated) -> None:
        await one.until("rvc")
        one.seat.set_voice(VoiceSettings(preset="rvc:eighth", pitch_semitones=12.0))
        assert np.allclose((await one.say(3))[-1920:], 0.05)
        assert not one.seat.is_preparing

    run(EIGHTH, play)


def test_controls_that_move_at_the_very_change_are_not_lost() -> None:
    """They come between the last step of preparation and the first hop."""

    async def play(one: Seated) -> None:
        await one.say(25)
        one.seat.set_voice(EIGHTH)
        while not one.seat._ready:
            await one.say()
        one.seat.set_voice(VoiceSettings(preset="rvc:eighth", pitch_semitones=12.0))
        await one.say(4)
        assert np.allclose((await one.say())[-1920:], 0.05)
        assert not one.seat.is_preparing

    run(VoiceSettings(), play)


def test_a_voice_that_is_slow_for_its_hop_is_given_longer_ones() -> None:
    """36 ms whatever the hop: it grows to 60 ms, where that is a ratio of 0.6, and stays; nobody falls back."""

    async def play(one: Seated) -> None:
        await one.until("rvc")
        await one.say(200)

    seated = run(EIGHTH, play, LaneHere(lambda engine, hop_ms: 36.0 if engine == "rvc" else 4.0))
    assert seated.hops_ms[-100:] == [60] * 100
    assert not seated.seat.over_budget
    assert seated.fell == []


def test_an_imported_voice_is_left_from_a_longer_hop_without_a_silent_one() -> None:
    """The embedded voice knows one length: hops are cut so from when it is asked for, and the old voice takes them."""

    async def play(one: Seated) -> None:
        await one.until("rvc")
        await one.say(60)
        assert one.hops_ms[-1] == 60
        one.seat.set_voice(ROBOT)
        assert (await one.say(12)).min() >= 0.8 * 0.12
        assert (one.seat.engine, one.seat.is_preparing) == ("embedded", False)

    seated = run(EIGHTH, play, LaneHere(lambda engine, hop_ms: 36.0 if engine == "rvc" else 4.0))
    assert seated.hops_ms[-1] == 40


def test_longer_hops_than_60_ms_are_shown_and_taken_back() -> None:
    """The state comes, and goes when the machine is fast again."""
    cost = {"rvc": 46.0, "embedded": 4.0}

    async def play(one: Seated) -> None:
        await one.until("rvc")
        await one.say(100)
        assert one.seat.over_budget
        cost["rvc"] = 15.0
        await one.say(800)
        assert not one.seat.over_budget

    seated = run(EIGHTH, play, LaneHere(lambda engine, hop_ms: cost[engine]))
    assert [shown for _, shown, _ in seated.changes][-2:] == [True, False]
    assert seated.hops_ms[-1] == 40


async def test_hops_of_other_calls_keep_coming_while_a_voice_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a real worker: a voice is loaded for as long as ten hops of somebody else take, and holds none of them up."""
    leave = tmp_path / "leave"
    monkeypatch.setenv(LEAVE, str(leave))
    lane = Lane("voice", RACK)
    await lane.start()
    try:
        other = Seated(lane, VoiceSettings(), call_id="other")
        one = Seated(lane, VoiceSettings(preset="rvc:loads"))
        await other.say(2)
        for _ in range(10):
            await one.say()
            assert (await other.say())[-1] > 0
            assert one.seat.engine == "embedded"
        leave.touch()
        async with asyncio.timeout(60):
            while one.seat.engine != "rvc":
                await one.say()
                assert (await other.say())[-1] > 0
                await asyncio.sleep(0.01)
        assert one.fell == other.fell == []
    finally:
        await lane.close()

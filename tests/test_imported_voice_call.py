"""A real call in imported voices, heard from the far end: change, growth, failure, removal, and never the raw voice."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from mirage_rtc.errors import BadInput
from mirage_rtc.grants import Grants
from mirage_rtc.session_events import Notice, SessionEvent
from models.engines import Samples, VoiceSettings
from tests import imported_lane, media
from tests.call_parts import FACE, registry
from tests.leak_detector import VoiceWatch
from tests.live_calls import LiveCall, live_call
from tests.media import Clip
from tests.peers import RATE_HZ
from tests.test_leaks import CONVINCING, LAG_S

STAND_IN_HZ = 220.0
FLAT = Clip(name="flat", frames=(np.full((64, 64, 3), 128, np.uint8),), faces=((),))
GRACE = VoiceSettings(preset="rvc:grace")


async def _until(condition: Callable[[], bool], within_s: float = 120.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.05)


def _notices(call: LiveCall) -> list[str]:
    return [event.code for event in call.events if isinstance(event, Notice)]


def _share_of_stand_in(heard: Samples) -> float:
    """How much of the sound's power is the stand-in's sine."""
    power = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
    near = np.abs(np.fft.rfftfreq(len(heard), 1 / RATE_HZ) - STAND_IN_HZ) < 25
    return float(power[near].sum() / power.sum())


async def _speaks(call: LiveCall, settings: VoiceSettings, engine: str) -> Samples:
    """Choose a voice, wait until it speaks, and hear a second and a half of it."""
    await call.session.set_voice(settings)
    await _until(lambda: call.session.state().voice_engine == engine and not call.session.state().voice_preparing)
    await asyncio.sleep(0.5)
    heard = len(call.peer.heard())
    await _until(lambda: len(call.peer.heard()) > heard + 1.5 * RATE_HZ)
    return call.peer.heard()[heard:]


@asynccontextmanager
async def _call(data_dir: Path, voice: Samples) -> AsyncIterator[LiveCall]:
    sound = imported_lane.lane(data_dir)
    async with live_call(data_dir, FLAT, voice, face=FACE, sound=sound) as call:
        await _until(lambda: call.session.state().sound == "live")
        yield call


async def test_a_call_through_everything_that_can_happen_to_an_imported_voice(tmp_path: Path) -> None:
    """Changed to, grown, too slow, chosen again, removed: the person is told, and the far end hears nothing raw."""
    voices = imported_lane.store(tmp_path, "grace", "labours", "slow")
    async with _call(tmp_path, media.speech("man")) as call:
        session = call.session
        own = await _speaks(call, VoiceSettings(preset="lower"), "world")
        imported = await _speaks(call, GRACE, "rvc")
        await session.set_voice(VoiceSettings(preset="rvc:labours"))
        await _until(lambda: session.stats().voice_hop_ms > 40)
        assert _notices(call) == []

        await session.set_voice(VoiceSettings(preset="rvc:slow"))
        await _until(lambda: _notices(call) == ["voice_slow"])
        await _until(lambda: session.state().voice_engine == "world")
        assert session.state().voice.preset == "lower"
        assert session.stats().voice_hop_ms == 40

        await _speaks(call, GRACE, "rvc")
        voices.store.remove("grace")
        session._around.voice_lane._worker.kill()  # type: ignore[union-attr]
        await _until(lambda: _notices(call) == ["voice_slow", "voice_unknown"])
        await _until(lambda: session.state().sound == "live" and session.state().voice_engine == "world")
        after = len(call.peer.heard())
        await _until(lambda: len(call.peer.heard()) > after + RATE_HZ)
        heard, sent = call.peer.heard(), call.peer.microphone.sent()

    assert _share_of_stand_in(imported) > 0.8
    assert _share_of_stand_in(own) < 0.4
    assert np.abs(heard[-RATE_HZ:]).max() > 0.01
    leaks = VoiceWatch(sent, RATE_HZ).leaks(heard, RATE_HZ, LAG_S)
    assert [leak for leak in leaks if leak.evidence >= CONVINCING] == []
    events = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [each["code"] for each in events if each["event"] == "voice_fallback"] == ["voice_slow", "voice_unknown"]
    assert "grace" not in json.dumps(events)


async def test_a_refused_renegotiation_does_not_hush_up_that_the_voice_in_use_was_given_up(tmp_path: Path) -> None:
    """The leg in use stays the one that counts: the person is told, and the state says what is heard."""
    voices = imported_lane.store(tmp_path, "grace")
    async with registry(tmp_path, voice=imported_lane.lane(tmp_path)) as (calls, _):
        session = await calls.admit(subject="x", grants=Grants())
        told: list[SessionEvent] = []
        session.attach(told.append)
        line = session.open_chunks()
        with pytest.raises(BadInput):
            await session.negotiate("nonsense")
        await session.set_voice(GRACE)
        voices.store.remove("grace")
        async with asyncio.timeout(90):
            for at in itertools.count():
                line.push_sound(np.full(3072, 0.1, np.float32), capture_us=at * 192_000)
                await asyncio.sleep(0.05)
                if line.leg.voice.engine and not line.leg.voice.is_preparing:
                    break
        assert [event.code for event in told if isinstance(event, Notice)] == ["voice_unknown"]
        assert session.state().voice.preset == "disguise"


async def test_an_imported_voice_over_the_chunk_path(tmp_path: Path) -> None:
    """At 16 kHz: as many samples back as were sent, of the stand-in's sine."""
    imported_lane.store(tmp_path, "grace")
    speech = media.speech("man", 16_000)[: 16_000 * 6]
    async with _call(tmp_path, media.speech("man")) as call:
        line = call.session.open_chunks()
        await call.session.set_voice(GRACE)
        heard: list[Samples] = []
        for n, at in enumerate(range(0, len(speech) - 3072, 3072)):
            line.push_sound(speech[at : at + 3072], capture_us=at * 1_000_000 // 16_000)
            async with asyncio.timeout(90):
                while len(heard) < n:  # hops of 40 ms do not end with a chunk: the last one waits for the next
                    out = await line.next()
                    heard += [out.samples] if out.samples is not None else []
        state = call.session.state()

    assert (state.voice_engine, state.transport) == ("rvc", "chunks")
    assert all(len(samples) == 3072 for samples in heard)
    spoken = np.concatenate(heard[-8:])
    power = np.abs(np.fft.rfft(spoken * np.hanning(len(spoken)))) ** 2
    near = np.abs(np.fft.rfftfreq(len(spoken), 1 / 16_000) - STAND_IN_HZ) < 25
    assert power[near].sum() > 0.8 * power.sum()

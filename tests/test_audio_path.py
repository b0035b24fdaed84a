"""The voice's way through a call, over a real lane: the timeline is never stretched nor shortened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np

from mirage_rtc.audio_path import AudioPath
from mirage_rtc.leg import Leg
from models.engines import Samples, VoiceSettings
from tests import virtual_time
from tests.call_parts import WISHES, Hands, lanes, leg_parts
from tests.sound_path import SoundCall

FRAME = 960
FADE = 240
"""After a flush the level falls and rises in so many samples."""


@asynccontextmanager
async def _leg(*, rate_hz: int = 48_000, frame: int = FRAME, fill: bool = False) -> AsyncIterator[Leg]:
    async with lanes() as (face, voice):
        parts = leg_parts(face, voice, Hands())
        leg = Leg(parts, sample_rate_hz=rate_hz, frame_samples=frame, fill=fill)
        try:
            yield leg
        finally:
            await leg.close()


def _say(path: AudioPath, samples: Samples, start: int = 0) -> None:
    """Push in 20 ms frames, positions from `start`."""
    for at in range(0, len(samples), FRAME):
        path.push(samples[at : at + FRAME], capture_s=1000 + (start + at) / 48_000, position=start + at)


async def _hear(path: AudioPath, count: int) -> Samples:
    async with asyncio.timeout(60):
        return np.concatenate([(await path.next()).samples for _ in range(count)])


def _ramp(count: int) -> Samples:
    return np.linspace(0.1, 0.8, count, dtype=np.float32)


async def test_every_sample_in_is_a_sample_out() -> None:
    """A second in 20 ms frames comes back converted, in order, nothing lost or added."""
    said = _ramp(48_000)
    async with _leg() as leg:
        heard = []
        for at in range(0, 48_000, 1920):
            _say(leg.audio, said[at : at + 1920], at)
            heard.append(await _hear(leg.audio, 2))

    assert np.allclose(np.concatenate(heard), said / 2)
    assert (leg.audio.hops, leg.audio.hops_silent) == (25, 0)


async def test_a_hop_the_engine_fails_on_is_silence_of_the_same_length() -> None:
    """The hop before and the hop after keep their places; the level falls and rises in 5 ms."""
    said = np.full(3 * 1920, 0.4, np.float32)
    said[1920:3840] = 0.95
    async with _leg() as leg:
        _say(leg.audio, said)
        heard = await _hear(leg.audio, 6)

    assert np.allclose(heard[:1920], 0.2)
    assert not heard[1920 + FADE : 3840].any()
    assert np.allclose(heard[3840 + FADE :], 0.2)
    assert np.abs(np.diff(heard)).max() < 0.002


async def test_a_hole_in_the_input_is_filled() -> None:
    """A lost packet is 20 ms of silence, so that what follows keeps its time."""
    async with _leg() as leg:
        _say(leg.audio, np.full(FRAME, 0.4, np.float32), 0)
        _say(leg.audio, np.full(2 * FRAME, 0.4, np.float32), 2 * FRAME)
        heard = await _hear(leg.audio, 4)

    assert heard[:FRAME].all()
    assert not heard[FRAME : 2 * FRAME].any()
    assert heard[2 * FRAME :].all()


async def test_a_pause_is_not_filled() -> None:
    """A hole of a minute is a pause of the sender's, not sixty seconds of silence to send."""
    async with _leg() as leg:
        _say(leg.audio, np.full(1920, 0.4, np.float32), 0)
        _say(leg.audio, np.full(1920, 0.4, np.float32), 60 * 48_000)
        heard = await _hear(leg.audio, 4)

    assert heard.all()


def _pushed_s(call: SoundCall, packets: int, packet: int, step: int) -> float:
    """How much sound waits after so many packets at their own pace, each `step` after the one before it."""
    for n in range(packets):
        call.clock.advance(packet / 48_000)
        call.path.push(np.full(packet, 0.4, np.float32), capture_s=call.clock(), position=n * step)
    return call.path.waiting_ms / 1000.0


def test_a_sender_that_jumps_on_and_on_is_not_given_silence_without_end() -> None:
    """Packets of 2.5 ms, each just under half a second after the last: at most a second is filled in two."""
    assert 4.0 < _pushed_s(SoundCall(), packets=1600, packet=120, step=120 + 23_990) <= 4.0 + 2 * 1.0


def test_a_heavy_loss_is_filled_for_as_long_as_it_lasts() -> None:
    """Two packets in five are missing, for ten seconds: what comes out is as long as what was said."""
    call = SoundCall()
    for n in range(500):
        call.clock.advance(0.02)
        if n % 5 not in (1, 3):
            call.path.push(np.full(FRAME, 0.4, np.float32), capture_s=call.clock(), position=n * FRAME)

    assert abs(call.path.waiting_ms - 10_000) <= 20


async def test_a_backlog_is_not_carried_along() -> None:
    """Of a second that came at once, what is over 200 ms behind is not converted, and nothing waits behind silence."""
    async with _leg(fill=True) as leg:
        leg.audio.push(np.full(48_000, 0.4, np.float32), capture_s=999.0)
        async with asyncio.timeout(60):
            while leg.audio.hops == leg.audio.hops_silent:  # noqa: ASYNC110 - the lane may be slow, not the way out
                await asyncio.sleep(0.001)
            frames = [await leg.audio.next()]
            while frames[-1].kind == "silent":
                frames.append(await leg.audio.next())
        assert leg.audio.hops_silent >= 15

    assert len(frames) <= 6


async def test_a_voice_change_acts_and_a_flush_silences_what_was_on_its_way() -> None:
    """After a flush, hops asked for before leave as silence."""
    async with _leg() as leg:
        _say(leg.audio, np.full(1920, 0.4, np.float32))
        leg.audio.flush()
        assert not (await _hear(leg.audio, 2)).any()
        leg.apply(replace(WISHES, voice=VoiceSettings(preset="robot")))
        _say(leg.audio, np.full(1920, 0.4, np.float32), 1920)
        assert np.allclose((await _hear(leg.audio, 2))[FADE:], 0.1)


async def test_passthrough_is_raw_and_muted_is_silent() -> None:
    """Raw only while passthrough is on; muted beats it."""
    async with _leg() as leg:
        raw = replace(WISHES, passthrough_voice=True)
        leg.apply(raw)
        _say(leg.audio, np.full(1920, 0.4, np.float32))
        assert np.allclose((await _hear(leg.audio, 2))[FADE:], 0.4)
        leg.apply(replace(raw, muted_audio=True))
        _say(leg.audio, np.full(1920, 0.4, np.float32), 1920)
        assert not (await _hear(leg.audio, 2))[FADE:].any()


async def test_the_chunk_path_leaves_in_its_own_frames() -> None:
    """At 16 kHz, 192 ms in are 192 ms out, whatever the hop."""
    said = _ramp(3 * 3072)
    async with _leg(rate_hz=16_000, frame=3072) as leg:
        for at in range(0, len(said), 3072):
            leg.audio.push(said[at : at + 3072], capture_s=1000 + at / 16_000)
        heard = [await leg.audio.next() for _ in range(2)]

    assert np.allclose(np.concatenate([sound.samples for sound in heard]), said[: 2 * 3072] / 2)
    assert abs(heard[1].capture_s - heard[0].capture_s - 0.192) < 1e-6


def test_a_voice_that_passes_through_waits_for_one_frame_only() -> None:
    """Unconverted, a frame leaves as soon as its last sample is there: 20 ms after its first, and 5 of network."""
    call = SoundCall(passthrough=True)

    assert call.delays_ms(call.run(3.0)).max() <= 26


def test_what_was_said_before_a_switch_to_passthrough_is_not_sent_raw() -> None:
    """Less than a hop waits to be converted when the switch comes: it leaves as silence, not as what it is."""
    call = SoundCall(passthrough=False)
    before = np.full(FRAME, 0.7, np.float32)

    async def switch() -> Samples:
        path = call.path
        path.push(before, capture_s=call.clock() - 0.02)
        call.gate.passthrough = True
        path.flush()
        path.push(np.full(FRAME, 0.1, np.float32), capture_s=call.clock())
        moving = asyncio.create_task(path.run())
        heard = np.concatenate([(await path.next()).samples for _ in range(2)])
        moving.cancel()
        return heard

    heard = virtual_time.run(switch(), call.clock)

    assert not heard[:FRAME].any()
    assert np.allclose(heard[FRAME + FADE :], 0.1)


def test_not_a_sample_of_before_a_flush_is_in_a_hop_of_after_it() -> None:
    """A microphone whose clock is corrected leaves some samples inside the resampler: they are forgotten too."""
    call = SoundCall()
    drift = call.path._drift
    assert drift is not None
    drift.correction = drift._wanted = 0.002

    async def switch() -> Samples:
        path = call.path
        path.push(np.full(2 * FRAME, 0.7, np.float32), capture_s=call.clock() - 0.04, position=0)
        path.flush()
        path.push(np.zeros(4 * FRAME, np.float32), capture_s=call.clock(), position=2 * FRAME)
        moving = asyncio.create_task(path.run())
        heard = np.concatenate([(await path.next()).samples for _ in range(4)])
        moving.cancel()
        return heard

    assert not virtual_time.run(switch(), call.clock).any()


def test_hops_of_the_former_kind_are_not_converted_after_a_switch() -> None:
    """A frame cut for passing through is no hop of the engine's: it leaves as silence."""
    call = SoundCall(passthrough=True)

    async def switch() -> str:
        path = call.path
        path.push(np.full(FRAME, 0.7, np.float32), capture_s=call.clock() - 0.02)
        call.gate.passthrough = False
        path.flush()
        moving = asyncio.create_task(path.run())
        kind = (await path.next()).kind
        moving.cancel()
        return kind

    assert virtual_time.run(switch(), call.clock) == "silent"
    assert call.path.ratio.median() == 0.0

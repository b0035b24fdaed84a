"""Frames leave as late as the measured jitter needs and no later, as many samples as came in, in virtual time."""

import asyncio

import numpy as np
import pytest

from mirage_rtc.gate import SafeSound, SoundGate
from mirage_rtc.playout import Playout, Seam
from tests import virtual_time
from tests.sound_path import PACKET, PACKET_S, Left, SlowSeat, SoundCall
from tests.virtual_time import FakeClock


def _rhythm_ms(left: list[Left]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """How far each frame left from the even beat of its stream."""
    at_s = np.array([each.at_s for each in left])
    beat_s = at_s - np.arange(len(left)) * PACKET_S
    return np.asarray(1000 * (beat_s - np.median(beat_s)))


def _jitter_s(most_s: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.random.default_rng(3).uniform(0, most_s, 5000)


@pytest.mark.parametrize(("jitter_ms", "delay_ms"), [(0, 26), (10, 36), (30, 56)])
def test_a_jittery_uplink_leaves_as_an_even_stream_and_a_quiet_one_waits_for_nothing(
    jitter_ms: int, delay_ms: int
) -> None:
    """Without jitter a frame leaves when its last sample is there (20 ms, and 5 of network); with it, so much later."""
    call, jitter_s = SoundCall(), _jitter_s(jitter_ms / 1000)
    left = call.run(20.0, late_s=lambda n: float(jitter_s[n]))[250:]

    assert np.quantile(call.delays_ms(left), 0.95) <= delay_ms
    assert np.quantile(np.abs(_rhythm_ms(left)), 0.8) <= 3.0
    assert np.abs(_rhythm_ms(left)).max() <= 1.0 + 0.3 * jitter_ms


def test_the_two_frames_of_a_hop_leave_20_ms_apart() -> None:
    """A converted hop of 40 ms is two frames: the second waits for its time and for nothing else."""
    call = SoundCall(passthrough=False)
    left = call.run(5.0)[50:]

    assert np.abs(_rhythm_ms(left)).max() <= 1.0
    assert call.delays_ms(left).max() <= 40 + 5 + 8 + 1.0


def test_after_a_stall_of_300_ms_the_delay_is_as_before_within_a_second() -> None:
    """Silence stands in, the sound it stood for is dropped when it comes, and as many samples leave as came."""
    call = SoundCall()
    left = call.run(10.0, late_s=lambda n: 0.3 - (n - 250) * PACKET_S if 250 <= n < 265 else 0.0)
    delay_ms = call.delays_ms(left)
    after = [each for each in left if 5.5 + 1000.0 < each.at_s < 1009.9]

    assert delay_ms[:240].max() <= 26
    assert call.delays_ms(after).max() <= 26
    assert any(each.sound.kind == "silent" for each in left)
    in_time = [each for each in left if each.at_s <= 1009.99]
    assert abs(len(in_time) - (9.99 - 0.025) / PACKET_S) <= 1.5


def test_one_lost_packet_leaves_the_delay_as_it_was() -> None:
    """The hole is a frame of silence; two packets that waited for it leave late, and the third does not.

    Nor is what is sent shorter by the hole: who listens plays frame after frame, and all of it would come early.
    """
    call = SoundCall()
    waits = {251: 0.04, 252: 0.02, 253: 0.0}
    left = call.run(10.0, late_s=lambda n: None if n == 250 else waits.get(n, 0.0))
    early_ms = [1000 * (call.captured_s(each) - call.began_s - n * PACKET_S) for n, each in enumerate(left)]
    silent = [n for n, each in enumerate(left) if not each.sound.samples.any()]

    assert len([each for each in left if each.at_s < 1009.9]) >= 9.9 / PACKET_S - 3
    assert call.delays_ms([each for each in left if each.at_s > 1005.2]).max() <= 26
    assert len(silent) == 1
    assert np.ptp(np.delete(early_ms, silent)) < 1


def test_a_voice_that_is_slow_for_a_while_is_not_late_for_ever() -> None:
    """An engine that takes 35 ms of every 40 costs no more delay than that."""
    call = SoundCall(passthrough=False, seat=SlowSeat(cost_s=0.035))
    left = call.run(6.0)[50:]

    assert call.delays_ms(left).max() <= 40 + 5 + 35 + 1.0


def test_the_timeline_is_never_shortened() -> None:
    """Every sample that went in comes out once and in order, however the cushion rose and fell meanwhile."""
    jitter_s = _jitter_s(0.05)
    call = SoundCall()
    left = call.run(20.0, late_s=lambda n: float(jitter_s[n]) if n < 300 else 0.0)
    spoken = np.concatenate([each.sound.samples for each in left if each.sound.kind != "silent"])

    assert len(spoken) == 1000 * PACKET
    assert np.all(np.diff(spoken) >= 0)


def test_a_cushion_too_large_is_given_back_while_nobody_speaks() -> None:
    """After five seconds of jitter speech keeps all but 1 % of its delay; a pause of 200 ms takes more away."""

    def delay_ms(*, pause: bool) -> float:
        call = SoundCall()
        wave = np.full(500 * PACKET, 0.1, np.float32)
        if pause:
            wave[400 * PACKET : 410 * PACKET] = 0.0
        call.run(8.4, wave=wave, late_s=lambda n: 0.05 if n < 250 and n % 4 == 1 else 0.0)
        return 1000 * call.path.delay_s

    assert delay_ms(pause=False) - delay_ms(pause=True) > 15


def _sound(level: float, *, kind: str = "live", generation: int = 0) -> SafeSound:
    return SafeSound(samples=np.full(PACKET, level, np.float32), capture_s=0.0, kind=kind, generation=generation)  # type: ignore[arg-type]


def test_a_switch_neither_clicks_nor_repeats() -> None:
    """After a flush the level falls to nothing within 5 ms, and what comes next rises as slowly."""
    seam = Seam(240, 0)
    heard = [
        seam.smooth(sound).samples
        for sound in (_sound(0.5), _sound(0.0, kind="silent", generation=1), _sound(-0.5, generation=1))
    ]
    steps = np.abs(np.diff(np.concatenate(heard)))

    assert steps.max() < 0.005
    assert not heard[1][240:].any()
    assert np.allclose(heard[2][240:], -0.5)


def test_a_frame_that_waited_over_a_flush_leaves_as_silence() -> None:
    """What a flush forbids is not sent, though it was ready before and only its time had not come."""
    clock, gate = FakeClock(), SoundGate(on_kind=lambda _: None)

    async def call() -> list[SafeSound]:
        playout = Playout(gate=gate, clock=clock, rate_hz=48_000, frame_samples=PACKET, most_ms=400, fill=True)
        two = SafeSound(samples=np.full(2 * PACKET, 0.5, np.float32), capture_s=clock(), kind="live", generation=0)
        playout.put(two, heard_s=clock())
        await playout.next()
        asyncio.get_running_loop().call_later(0.01, gate.flush)
        return [await playout.next()]

    (late,) = virtual_time.run(call(), clock)
    assert late.kind == "silent"
    assert not late.samples[240:].any()


def test_a_frame_of_before_and_after_a_flush_is_of_before() -> None:
    """Half of it may not be heard any more, so none of it is."""
    clock, gate = FakeClock(), SoundGate(on_kind=lambda _: None)

    async def call() -> SafeSound:
        playout = Playout(gate=gate, clock=clock, rate_hz=48_000, frame_samples=PACKET, most_ms=400, fill=False)
        for generation in (0, 1):
            half = np.full(PACKET // 2, 0.5, np.float32)
            sound = SafeSound(samples=half, capture_s=clock(), kind="live", generation=generation)
            playout.put(sound, heard_s=clock())
            gate.flush()
        gate.generation = 1
        return await playout.next()

    mixed = virtual_time.run(call(), clock)
    assert mixed.kind == "silent"
    assert not mixed.samples[240:].any()

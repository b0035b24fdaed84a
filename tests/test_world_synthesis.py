"""Sound out of frames."""

import numpy as np
import pytest

from models.voice_frames import BINS, FRAME_SAMPLES, RATE_HZ, Frames, silent_frames
from models.world_synthesis import PRE_RING_SAMPLES, WorldSynthesiser


def steady(count: int, *, f0_hz: float, aperiodicity: float, level: float = 1e-3) -> Frames:
    return Frames(
        f0_hz=np.full(count, f0_hz),
        power=np.full((count, BINS), level),
        aperiodicity=np.full((count, BINS), aperiodicity),
        gain=np.ones(count),
    )


@pytest.mark.parametrize("f0_hz", [80.0, 123.4, 400.0])
def test_pulses_come_at_the_pitch_across_calls(f0_hz: float) -> None:
    """Phase is carried at sub-sample precision: over a second, the distance of pulses is the period."""
    synthesiser = WorldSynthesiser(seed=1)
    wave = np.concatenate([synthesiser.synthesise(steady(8, f0_hz=f0_hz, aperiodicity=0.0)) for _ in range(25)])
    spectrum = np.abs(np.fft.rfft(wave[RATE_HZ // 10 :] * np.hanning(len(wave) - RATE_HZ // 10), 1 << 20))
    near = slice(int(0.8 * f0_hz * (1 << 20) / RATE_HZ), int(1.2 * f0_hz * (1 << 20) / RATE_HZ))
    peak_hz = (near.start + int(np.argmax(spectrum[near]))) * RATE_HZ / (1 << 20)
    assert abs(1200 * np.log2(peak_hz / f0_hz)) < 2


@pytest.mark.parametrize("aperiodicity", [0.0, 0.6, 1.0])
def test_power_is_that_of_the_envelope(aperiodicity: float) -> None:
    """Whatever the share of noise, a flat envelope of power p sounds at mean square p."""
    wave = WorldSynthesiser(seed=1).synthesise(steady(400, f0_hz=150.0, aperiodicity=aperiodicity))
    assert np.mean(wave[2400:] ** 2) == pytest.approx(1e-3, rel=0.1)


def test_the_hop_does_not_matter() -> None:
    """The same frames in pieces of 4, 8 and 40 give the same samples."""
    rng = np.random.default_rng(3)
    f0 = np.where(rng.random(160) < 0.8, 140 + 30 * np.sin(np.arange(160) / 9), 0.0)
    everything = steady(160, f0_hz=1.0, aperiodicity=0.3)
    waves = []
    for size in (4, 8, 40):
        synthesiser = WorldSynthesiser(seed=5)
        parts = [
            Frames(
                f0_hz=f0[i : i + size],
                power=everything.power[i : i + size],
                aperiodicity=everything.aperiodicity[i : i + size],
                gain=everything.gain[i : i + size],
            )
            for i in range(0, 160, size)
        ]
        waves.append(np.concatenate([synthesiser.synthesise(part) for part in parts]))
    np.testing.assert_allclose(waves[0], waves[1], atol=1e-9)
    np.testing.assert_allclose(waves[0], waves[2], atol=1e-9)


def test_silent_frames_are_exactly_zero_once_the_tail_is_out() -> None:
    """No noise floor of its own, and no DC while it sounds."""
    synthesiser = WorldSynthesiser(seed=1)
    loud = synthesiser.synthesise(steady(200, f0_hz=110.0, aperiodicity=0.2))
    assert abs(loud.mean()) < 0.01 * loud.std()
    synthesiser.synthesise(silent_frames(20))
    assert not synthesiser.synthesise(silent_frames(8)).any()


def test_the_first_pulse_does_not_ring_before_the_call() -> None:
    """The constant delay holds the ringing of a sub-sample shift; nothing wraps to the end of a response."""
    synthesiser = WorldSynthesiser(seed=1)
    synthesiser.synthesise(silent_frames(8))
    wave = np.concatenate([synthesiser.synthesise(steady(1, f0_hz=100.0, aperiodicity=0.0)), np.zeros(1)])
    after = synthesiser.synthesise(silent_frames(20))
    assert len(wave) == FRAME_SAMPLES + 1
    assert np.abs(after[900 + PRE_RING_SAMPLES :]).max() < 1e-2 * np.abs(after).max()

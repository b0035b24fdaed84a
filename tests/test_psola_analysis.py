"""Frames for TD-PSOLA out of a sliding window, without pyworld."""

import numpy as np
import pytest

from models.psola_analysis import LOOK_AHEAD_MS, PsolaAnalyser, analyse_clip
from models.voice_frames import BINS, RATE_HZ
from tests.speech import Speaker, pitch_hz, speech


@pytest.mark.parametrize("hop_ms", [20, 40, 200])
def test_every_frame_is_given_once_and_agrees_with_the_analysis_of_the_whole(hop_ms: int) -> None:
    """The frame of time t leaves 30 ms after t; pitch and spectrum are those of an offline analysis."""
    wave, hop, analyser = speech(1.6, RATE_HZ).astype(np.float64), RATE_HZ * hop_ms // 1000, PsolaAnalyser(hop_ms)
    parts = [analyser.push(wave[i : i + hop]) for i in range(0, len(wave) - hop + 1, hop)]
    assert all(part.power.shape == (hop_ms // 5, BINS) for part in parts)
    f0 = np.concatenate([part.f0_hz for part in parts])[LOOK_AHEAD_MS // 5 - 1 :]
    power = np.concatenate([part.power for part in parts])[LOOK_AHEAD_MS // 5 - 1 :]
    whole = analyse_clip(wave)
    both = (f0 > 0) & (whole.f0_hz[: len(f0)] > 0)
    assert both.mean() > 0.5
    assert np.mean(np.abs(np.log2(f0[both] / whole.f0_hz[: len(f0)][both])) < 0.01) > 0.97
    distance_db = np.abs(10 * np.log10(power / whole.power[: len(power)]))[both]
    assert np.median(distance_db) < 0.1


@pytest.mark.parametrize("f0_hz", [100.0, 220.0])
def test_the_pitch_is_the_speaker_s(f0_hz: float) -> None:
    """Within half a semitone in the median, where voiced."""
    speaker = Speaker(f0_hz=f0_hz)
    frames = analyse_clip(speech(2.0, RATE_HZ, speaker).astype(np.float64))
    truth = pitch_hz(2.0, RATE_HZ, speaker)[::120][: len(frames.f0_hz)]
    voiced = frames.f0_hz > 0
    assert np.median(np.abs(12 * np.log2(frames.f0_hz[voiced] / truth[voiced]))) < 0.5


def test_the_spectrum_is_a_density_that_keeps_the_power() -> None:
    """White noise of variance 0.01 has a flat 0.01; harmonics of 200 Hz leave no ripple over 1.5 dB."""
    noise = 0.1 * np.random.default_rng(1).standard_normal(RATE_HZ)
    assert analyse_clip(noise).power[10:-10].mean() == pytest.approx(0.01, rel=0.05)
    pulses = np.zeros(RATE_HZ)
    pulses[::120] = 1.0
    frames = analyse_clip(pulses)
    assert frames.f0_hz[100] == pytest.approx(200.0, rel=0.01)
    inner_db = 10 * np.log10(frames.power[50:150, 20:-20].mean(axis=0))
    assert np.ptp(inner_db) < 1.5


def test_what_has_no_pitch_is_all_noise() -> None:
    """The aperiodicity is 1 in every unvoiced frame and 0 in every voiced one."""
    frames = analyse_clip(speech(1.0, RATE_HZ).astype(np.float64))
    np.testing.assert_array_equal(frames.aperiodicity.min(axis=1), frames.f0_hz == 0)
    np.testing.assert_array_equal(frames.aperiodicity.max(axis=1), frames.f0_hz == 0)


def test_silence_is_not_analysed_and_has_no_gain() -> None:
    """Zeros in, shut gate out."""
    frames = PsolaAnalyser(40).push(np.zeros(960))
    assert not frames.gain.any()
    assert not frames.f0_hz.any()

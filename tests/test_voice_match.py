"""Measuring a voice and mapping one to another."""

import numpy as np
import pytest

from models.voice_match import (
    BANDS,
    RunningStatistics,
    VoiceStatistics,
    colour_shift,
    envelope_shift,
    measure,
    statistics_of,
    tract_ratio,
)
from models.world_analysis import analyse_clip
from tests.speech import Speaker, pitch_hz, speech


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_a_clip_is_measured_alike_at_every_rate(rate_hz: int) -> None:
    """Mean pitch within a third of a semitone of the truth, whatever the clip's sample rate."""
    found = statistics_of(measure(speech(4.0, rate_hz, Speaker(f0_hz=150.0)), rate_hz, analyse_clip))
    truth = pitch_hz(4.0, rate_hz, Speaker(f0_hz=150.0))
    assert abs(12 * (found.log_f0_mean - np.log(truth).mean()) / np.log(2)) < 0.3
    assert 0.02 < found.log_f0_sd < 0.2
    assert found.envelope.shape == (BANDS,)


@pytest.mark.parametrize(
    ("clip", "sentence"),
    [
        (np.zeros(16_000 * 5, dtype=np.float32), "voiced speech"),
        (np.random.default_rng(1).standard_normal(16_000 * 5).astype(np.float32) * 0.1, "voiced speech"),
        (np.zeros(16_000, dtype=np.float32), "3 to 30 s"),
        (np.zeros(16_000 * 31, dtype=np.float32), "3 to 30 s"),
        (np.full(16_000 * 5, np.nan, dtype=np.float32), "finite"),
        (np.zeros((16_000 * 5, 2), dtype=np.float32), "one channel"),
    ],
)
def test_a_clip_without_usable_speech_is_refused(clip: np.ndarray, sentence: str) -> None:
    """With a sentence that says what is wanted."""
    with pytest.raises(ValueError, match=sentence):
        measure(clip, 16_000, analyse_clip)


def test_an_odd_sample_rate_is_refused() -> None:
    """Only usual rates convert to whole blocks."""
    with pytest.raises(ValueError, match="sample rate"):
        measure(np.zeros(50_000, dtype=np.float32), 12_345, analyse_clip)


def test_a_profile_of_another_engine_is_refused() -> None:
    """Profiles are opaque, but not blindly trusted."""
    profile = measure(speech(4.0, 16_000), 16_000, analyse_clip)
    profile.values.pop("envelope")
    with pytest.raises(ValueError, match="measure the clip again"):
        statistics_of(profile)


def learnt(speaker: Speaker) -> VoiceStatistics:
    statistics = RunningStatistics()
    statistics.update(analyse_clip(speech(4.0, 24_000, speaker).astype(np.float64)))
    found = statistics.summary()
    assert found is not None
    return found


def test_the_tract_ratio_has_the_right_direction() -> None:
    """A shorter vocal tract is found as a ratio above one, a longer one below."""
    man, child = learnt(Speaker()), learnt(Speaker(f0_hz=130.0, tract=1.12))
    assert tract_ratio(man, child) > 1.05
    assert tract_ratio(child, man) < 0.95
    assert tract_ratio(man, man) == pytest.approx(1.0, abs=0.006)


def test_shifts_lean_towards_the_reference_and_stay_within_bounds() -> None:
    """Zero to oneself, clipped to others; the colour shift of average strength opposes the speaker's own colour."""
    man, woman = learnt(Speaker()), learnt(Speaker(f0_hz=210.0, tract=1.15))
    assert np.abs(envelope_shift(man, man, 1.0)).max() < 0.01
    shift = envelope_shift(man, woman, 1.0)
    assert 0.1 < np.abs(shift).max() <= 2.2
    assert 0.1 < np.abs(colour_shift(man.envelope, 1.0, 2.0)).max() <= 4.0


def test_the_running_median_follows_the_last_second_only() -> None:
    """A new speaker at the same microphone is noticed."""
    statistics = RunningStatistics()
    assert statistics.median_f0_hz() is None
    for f0_hz in (110.0, 220.0):
        statistics.update(analyse_clip(speech(3.0, 24_000, Speaker(f0_hz=f0_hz)).astype(np.float64)))
        assert statistics.median_f0_hz() == pytest.approx(f0_hz, rel=0.12)

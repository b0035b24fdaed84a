"""Pitch of sounds whose pitch is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.pitch_track import PitchTracker
from tests.speech import Speaker, pitch_hz, speech

RATE_HZ = 24_000
Array = NDArray[np.float64]


def track_whole(wave: Array) -> Array:
    centres = np.arange(len(wave) // 120, dtype=np.float64) * 120
    return PitchTracker(RATE_HZ).track(wave, centres, len(centres))


@pytest.mark.parametrize("f0_hz", [85.0, 120.0, 205.0, 320.0])
def test_it_follows_a_voice_without_octave_errors(f0_hz: float) -> None:
    """Of the voiced frames, 90 % lie within a semitone of the truth and 95 % within three (formants ring on)."""
    wave = speech(2.0, RATE_HZ, Speaker(f0_hz=f0_hz)).astype(np.float64)
    found = track_whole(wave)
    truth = pitch_hz(2.0, RATE_HZ, Speaker(f0_hz=f0_hz))[:: RATE_HZ // 200][: len(found)]
    voiced = found > 0
    assert voiced.mean() > 0.5
    apart = 12 * np.abs(np.log2(found[voiced] / truth[voiced]))
    assert np.mean(apart < 1) > 0.90
    assert np.mean(apart < 3) > 0.95


def test_noise_through_a_resonance_is_no_voice() -> None:
    """A resonance at 500 Hz, 200 Hz wide, repeats for a few periods only; a voice goes on."""
    noise = np.random.default_rng(2).standard_normal(RATE_HZ)
    ring = np.exp(-np.pi * 200 * np.arange(600) / RATE_HZ) * np.sin(2 * np.pi * 500 * np.arange(600) / RATE_HZ)
    wave = np.convolve(noise, ring)[:RATE_HZ]
    assert np.mean(track_whole(wave / np.abs(wave).max()) > 0) < 0.1


def test_white_noise_and_silence_are_unvoiced() -> None:
    """Neither has a pitch."""
    assert np.mean(track_whole(0.1 * np.random.default_rng(3).standard_normal(RATE_HZ)) > 0) < 0.02
    assert not track_whole(np.zeros(RATE_HZ)).any()


def test_pieces_with_two_frames_of_look_ahead_agree_with_the_whole() -> None:
    """What was given out is never revised, yet differs from the best path over everything in few frames."""
    wave = speech(2.0, RATE_HZ).astype(np.float64)
    whole, tracker = track_whole(wave), PitchTracker(RATE_HZ)
    centres = np.arange(len(whole) + 2, dtype=np.float64) * 120
    pieces = [tracker.track(wave, centres[i : i + 10], 8) for i in range(0, len(whole) - 7, 8)]
    found = np.concatenate(pieces)
    assert np.mean(np.abs(found - whole[: len(found)]) < 2.0) > 0.97


@pytest.mark.parametrize("hop", [8, 12, 40])
def test_the_hop_decides_nothing(hop: int) -> None:
    """Frames of 40, 60 and 200 ms at a time against 20: the same path, to the last candidate."""
    wave = np.concatenate([speech(1.2, RATE_HZ), speech(1.0, RATE_HZ, Speaker(f0_hz=240.0)) * 0.1]).astype(np.float64)
    centres = np.arange(len(wave) // 120 - 2, dtype=np.float64) * 120

    def tracked(count: int) -> Array:
        tracker, whole = PitchTracker(RATE_HZ), range(0, 400, count)
        return np.concatenate([tracker.track(wave, centres[i : i + count + 2], count) for i in whole])

    steps = tracked(4)
    assert np.mean(steps > 0) > 0.4
    np.testing.assert_allclose(tracked(hop)[:400], steps, rtol=1e-9)

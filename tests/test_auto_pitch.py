"""A speaker is brought to a voice's usual pitch: by as much as is missing, slowly, the same at every hop."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.auto_pitch import GLIDE_SEMITONES, LEAST_FRAMES, AutoPitch

Array = NDArray[np.float64]


def melody(middle_hz: float, seconds: float = 8.0) -> Array:
    """Two semitones up and down around it, every third of a second unvoiced."""
    frames = np.arange(round(100 * seconds))
    hz = middle_hz * 2 ** (2 * np.sin(frames / 17) / 12)
    return np.where(frames % 100 < 33, 0.0, hz)


def followed(target_hz: float, pitch_hz: Array, hop: int = 4) -> Array:
    """Semitones by frame."""
    auto = AutoPitch(target_hz)
    ratios = [auto.follow(pitch_hz[first : first + hop]) for first in range(0, len(pitch_hz) // hop * hop, hop)]
    return np.asarray(12 * np.log2(np.concatenate(ratios)))


@pytest.mark.parametrize("target_hz", [60.0, 110.0, 210.0, 440.0])
def test_the_median_arrives_at_the_voice_s_own(target_hz: float) -> None:
    """Within a semitone, whatever the melody does; nothing before a second of voice, no step anywhere."""
    found = followed(target_hz, melody(115.0))
    assert found[-1] == pytest.approx(12 * np.log2(target_hz / 115.0), abs=1.0)
    assert (found[:LEAST_FRAMES] == 0).all()
    assert np.abs(np.diff(found)).max() <= GLIDE_SEMITONES + 1e-9


def test_who_is_there_already_is_left_alone() -> None:
    """A semitone more or less is a mood."""
    steady = np.full(800, 115.0) * 2 ** (np.sin(np.arange(800) / 5) / 12)
    assert (followed(118.0, steady) == 0).all()


@pytest.mark.parametrize("hop", [6, 12, 20])
def test_the_hop_does_not_matter(hop: int) -> None:
    """To the last bit."""
    one, other = followed(210.0, melody(115.0)), followed(210.0, melody(115.0), hop)
    shared = min(len(one), len(other))
    assert np.array_equal(one[:shared], other[:shared])


def test_another_speaker_is_followed_too() -> None:
    """Somebody else takes the microphone: within some seconds it is their pitch that counts."""
    found = followed(210.0, np.concatenate([melody(115.0), melody(200.0, 14.0)]))
    assert found[799] == pytest.approx(10.4, abs=1.0)
    assert found[-1] == pytest.approx(0.8, abs=1.0)


def test_nobody_is_moved_by_more_than_two_octaves() -> None:
    """A pitch that was misheard would make a whistle of a voice."""
    assert followed(1100.0, melody(70.0))[-1] == pytest.approx(24.0, abs=1e-6)

"""The noise floor: the noise is found under speech, within a decibel or two, and followed when it rises or falls."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.noise_floor import NoiseFloor
from tests import speech

RATE_HZ, STEP, SIZE = 16_000, 160, 512
Array = NDArray[np.float64]


def spectra(sound: Array) -> Array:
    """Of windows of 20 ms, 10 ms apart."""
    window = np.hanning(2 * STEP)
    frames = np.lib.stride_tricks.sliding_window_view(sound, 2 * STEP)[::STEP]
    return np.asarray(np.abs(np.fft.rfft(frames * window, SIZE, axis=1)) ** 2)


def error_db(found: Array, noise: Array) -> float:
    """Of the level over all bands."""
    return float(10 * np.log10(found.mean() / spectra(noise).mean()))


def followed(sound: Array) -> Array:
    """The floor at every step."""
    floor = NoiseFloor(SIZE // 2 + 1)
    return np.stack([floor.update(power).copy() for power in spectra(sound)])


@pytest.mark.parametrize("level", [0.001, 0.03])
def test_noise_alone_is_its_own_floor(level: float) -> None:
    """The bias of a minimum is taken out."""
    noise = level * np.random.default_rng(1).standard_normal(5 * RATE_HZ)
    assert abs(error_db(followed(noise)[200:], noise)) < 1.5


@pytest.mark.parametrize("name", ["man_a", "woman"])
def test_speech_is_not_taken_for_noise(name: str) -> None:
    """Somebody who speaks 15 dB above it, hardly pausing, does not lift it by more than 3 dB."""
    voice = speech.voices(RATE_HZ, 6.0)[name].astype(np.float64)
    noise = np.random.default_rng(2).standard_normal(len(voice)) * np.sqrt(np.square(voice).mean() / 10**1.5)
    found = followed(voice + noise)[200:]
    middle = np.median(found / spectra(noise).mean(axis=0), axis=0)
    assert abs(10 * np.log10(np.median(middle))) < 3


def test_a_rise_is_followed_within_two_seconds_and_a_fall_at_once() -> None:
    """By 10 dB each."""
    noise = np.random.default_rng(3).standard_normal(9 * RATE_HZ) * 0.01
    level = np.ones(len(noise))
    level[3 * RATE_HZ : 6 * RATE_HZ] = 10**0.5
    found = followed(noise * level)
    assert abs(error_db(found[510:590], (noise * level)[5 * RATE_HZ : 6 * RATE_HZ])) < 2
    assert abs(error_db(found[640:690], noise)) < 2


def test_a_sound_that_lasts_a_second_is_not_taken_for_noise() -> None:
    """A vowel held 20 dB above the noise: what was the least before it is remembered over it."""
    noise = np.random.default_rng(5).standard_normal(4 * RATE_HZ) * 0.01
    level = np.ones(len(noise))
    level[2 * RATE_HZ : 3 * RATE_HZ] = 10.0
    found = followed(noise * level)
    assert abs(error_db(found[205:290], noise)) < 3


def test_perfect_silence_divides_nothing_by_nothing() -> None:
    """Digital silence, and sound after it."""
    found = followed(np.concatenate([np.zeros(RATE_HZ), np.ones(RATE_HZ)]))
    assert np.isfinite(found).all()
    assert (found > 0).all()

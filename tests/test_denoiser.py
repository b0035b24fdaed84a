"""The denoiser: noise goes, speech stays as intelligible as it was, no sample is later than it came."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from pystoi import stoi

from models.denoiser import Denoiser
from tests import speech

Array = NDArray[np.float64]


def cleaned(sound: Array, rate_hz: int) -> Array:
    """All of it, on."""
    denoiser = Denoiser(rate_hz)
    steps = sound[: len(sound) // denoiser.step * denoiser.step].reshape(-1, denoiser.step)
    return np.concatenate([denoiser.clean(step) for step in steps])


@cache
def spoken(name: str, rate_hz: int) -> Array:
    """LibriSpeech where it is there; two seconds of nothing first."""
    voice = speech.voices(rate_hz, 6.0)[name].astype(np.float64)
    return np.concatenate([np.zeros(2 * rate_hz), voice / np.abs(voice).max() / 2])


@cache
def noise(rate_hz: int, count: int, seed: int = 4) -> Array:
    """Like a fan: 3 dB less every octave from 40 Hz on; its RMS is 1."""
    white = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    pink = np.fft.irfft(white / np.sqrt(np.maximum(np.arange(len(white)) * rate_hz / count, 40)), count)
    return np.asarray(pink / pink.std())


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
@pytest.mark.parametrize("name", ["man_a", "woman"])
@pytest.mark.parametrize("ratio_db", [5, 15])
def test_what_is_said_stands_out_further_from_the_noise(name: str, rate_hz: int, ratio_db: int) -> None:
    """The noise before the first word loses 8 dB more than the loud parts of speech do; STOI loses at most 0.03."""
    voice = spoken(name, rate_hz)
    added = noise(rate_hz, len(voice)) * np.sqrt(np.square(voice[2 * rate_hz :]).mean() / 10 ** (ratio_db / 10))
    found = cleaned(voice + added, rate_hz)
    given, wanted = (voice + added)[: len(found)], voice[: len(found)]
    pause = slice(rate_hz, 2 * rate_hz - rate_hz // 20)
    loud = np.convolve(np.square(wanted), np.ones(rate_hz // 50), "same") > 0.5 * np.square(wanted).max()
    lost_db = [10 * np.log10(np.square(given[part]).mean() / np.square(found[part]).mean()) for part in (pause, loud)]
    assert lost_db[0] - lost_db[1] >= 8
    assert abs(lost_db[1]) < 3
    assert stoi(wanted, found, rate_hz) >= stoi(wanted, given, rate_hz) - 0.03


def test_speech_without_noise_stays_as_it_is() -> None:
    """Its level within a decibel, and its words."""
    voice = spoken("woman", 16_000)
    found = cleaned(voice, 16_000)
    assert abs(10 * np.log10(np.square(found).mean() / np.square(voice[: len(found)]).mean())) < 1
    assert stoi(voice[: len(found)], found, 16_000) > 0.97


def test_nothing_comes_later_than_it_did() -> None:
    """Cleaned sound is most like what came in at no shift at all."""
    voice = spoken("man_a", 16_000)
    given = voice + 0.01 * noise(16_000, len(voice))
    found = cleaned(given, 16_000)
    shifts = range(-40, 41)
    alike = [float(np.dot(found[100:-100], given[100 + shift : len(found) - 100 + shift])) for shift in shifts]
    assert abs(shifts[int(np.argmax(alike))]) <= 1


def test_switching_it_on_and_off_is_no_click() -> None:
    """On a tone in noise; and while it rests the very samples come out."""
    rate_hz = 16_000
    tone = 0.2 * np.sin(2 * np.pi * 220 * np.arange(4 * rate_hz) / rate_hz)
    given = (tone + 0.002 * noise(rate_hz, len(tone))).reshape(-1, 160)
    denoiser, made = Denoiser(rate_hz), []
    for number, step in enumerate(given):
        on = 100 <= number < 250
        made.append(denoiser.clean(step) if on else step if denoiser.idle else denoiser.rest(step))
    found = np.concatenate(made)
    assert np.array_equal(found[: 100 * 160], given.reshape(-1)[: 100 * 160])
    assert np.array_equal(found[260 * 160 :], given.reshape(-1)[260 * 160 :])
    usual = np.abs(np.diff(given.reshape(-1), 2)).max()
    for edge in (100 * 160, 250 * 160):
        assert np.abs(np.diff(found[edge - 400 : edge + 400], 2)).max() < 1.5 * usual


def test_silence_and_full_scale_stay_finite() -> None:
    """Digital zero, then the loudest square wave."""
    square = np.sign(np.sin(np.arange(16_000) / 9.0))
    found = cleaned(np.concatenate([np.zeros(16_000), square, np.zeros(16_000)]), 16_000)
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 3

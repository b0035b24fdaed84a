"""The mel picture that RMVPE sees: against the original's, and against its definition."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from models.rmvpe_front import (
    FFT_SIZE,
    HOP,
    SAMPLE_RATE_HZ,
    MovingPicture,
    _window,
    log_mel,
    mel_bank,
    padded_to_network,
)
from tests import golden


@golden.needed
def test_the_picture_is_the_original_s() -> None:
    """To 1e-4 in the logarithm down to 100 dB under the loudest bin of a frame, where float32 of the original ends.

    Below, the original is off by up to 1.44e-4 from the same formula with an exact transform, and ours is not: no
    arithmetic could be nearer to it than its own rounding.
    """
    stored = golden.arrays("rmvpe")
    found, recorded, (exact, loudest) = log_mel(stored["wave"]), stored["mel"], exact_picture(stored["wave"])
    assert np.abs(found - exact).max() <= 1e-5
    audible = np.exp(exact) > 1e-5 * loudest
    assert 0.5 < audible.mean() < 1
    assert np.abs(found - recorded)[audible].max() <= 1e-4
    assert (np.abs(recorded - exact) > 1e-4).sum() == (np.abs(found - recorded) > 1e-4).sum() == 6
    np.testing.assert_allclose(mel_bank()[stored["mel_basis_rows"]], stored["mel_basis_sample"], atol=1e-8)


def exact_picture(wave: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The log mel by a float64 transform of the frames as they are weighted in float32; each frame's loudest bin."""
    weighted = sliding_window_view(np.pad(wave, FFT_SIZE // 2, mode="reflect"), FFT_SIZE)[::HOP] * _window()
    magnitudes = np.abs(np.fft.rfft(weighted.astype(np.float64), axis=1)).T
    return np.log(np.maximum(mel_bank().astype(np.float64) @ magnitudes, 1e-5)), magnitudes.max(axis=0)


def test_a_frame_is_its_definition() -> None:
    """One frame by a plain Fourier sum in float64, with the window and the bank applied by hand."""
    wave = np.random.default_rng(1).standard_normal(4000).astype(np.float32)
    frame, centre = 7, 7 * HOP
    time = np.arange(FFT_SIZE)
    windowed = wave[centre - FFT_SIZE // 2 : centre + FFT_SIZE // 2] * (0.5 - 0.5 * np.cos(2 * np.pi * time / FFT_SIZE))
    turns = np.exp(-2j * np.pi * np.outer(np.arange(FFT_SIZE // 2 + 1), time) / FFT_SIZE)
    np.testing.assert_allclose(log_mel(wave)[:, frame], np.log(mel_bank() @ np.abs(turns @ windowed)), atol=1e-4)


def test_a_tone_lights_the_band_around_it() -> None:
    """The centre of the strongest band is within half a band of the tone."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / SAMPLE_RATE_HZ).astype(np.float32)
    bins_hz = np.linspace(0, 8000, FFT_SIZE // 2 + 1)
    strongest = int(log_mel(tone)[:, 20].argmax())
    assert abs(float(bins_hz[mel_bank()[strongest].argmax()]) - 1000) < 40


def test_silence_is_the_floor_and_the_edge_is_mirrored() -> None:
    """ln 1e-5 everywhere; n // 160 + 1 frames."""
    picture = log_mel(np.zeros(3200, np.float32))
    assert picture.shape == (128, 21)
    np.testing.assert_allclose(picture, np.log(1e-5), atol=1e-5)


def test_a_picture_is_filled_up_with_zeros() -> None:
    """To a multiple of 32, behind."""
    padded = padded_to_network(np.full((128, 33), -5, np.float32))
    assert padded.shape == (128, 64)
    assert (padded[:, :33] == -5).all()
    assert (padded[:, 33:] == 0).all()
    assert padded_to_network(padded).shape == (128, 64)


def test_a_moving_picture_is_the_picture_of_the_moment() -> None:
    """Whatever the hops: frames of 3 s against one transform of all; the last three mirrored, centred 5 ms before."""
    wave = np.random.default_rng(2).standard_normal(3 * SAMPLE_RATE_HZ).astype(np.float32)
    moving, first, made = MovingPicture(96), 0, []
    for steps in (1, 2, 10, 3, 134):
        made.append(moving.push(wave[first : first + 320 * steps]))
        first += 320 * steps
    pictures = np.concatenate(made)
    assert pictures.shape == (150, 128, 96)
    for step in (74, 100, 149):
        end = 320 * (step + 1)
        # Whole hops from the last centre: further back only the left edge differs, which is mirrored here.
        whole = log_mel(wave[end - 100 * HOP - HOP // 2 : end])
        np.testing.assert_allclose(pictures[step][:, 4:], whole[:, -92:], atol=1e-5)


def test_before_the_stream_a_moving_picture_is_silent() -> None:
    """The floor, not zeros."""
    np.testing.assert_allclose(MovingPicture(96).push(np.zeros(640, np.float32)), np.log(1e-5), atol=1e-5)

"""The mel picture that RMVPE sees: against the original's, and against its definition."""

import numpy as np

from models.rmvpe_front import FFT_SIZE, HOP, SAMPLE_RATE_HZ, log_mel, mel_bank, padded_to_network
from tests import golden


@golden.needed
def test_the_picture_is_the_original_s() -> None:
    """In all but a few quiet cells to 1e-4. The original transforms in float32: its own rounding is up to 1.44e-4."""
    stored = golden.arrays("rmvpe")
    difference = np.abs(log_mel(stored["wave"]) - stored["mel"])
    assert (difference <= 1e-4).mean() >= 0.999
    assert difference.max() <= 1.6e-4
    np.testing.assert_allclose(mel_bank()[stored["mel_basis_rows"]], stored["mel_basis_sample"], atol=1e-8)


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

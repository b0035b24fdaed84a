"""The 255 steps of pitch of the text encoder."""

import numpy as np

from models.coarse_pitch import coarse_pitch


def test_the_ends_of_the_scale() -> None:
    """Unvoiced and everything up to 50 Hz is 1, 1100 Hz and above 255."""
    steps = coarse_pitch(np.array([0.0, 10.0, 50.0, 1100.0, 5000.0]))
    assert steps.tolist() == [1, 1, 1, 255, 255]
    assert steps.dtype == np.int64


def test_steps_are_even_on_the_mel_scale() -> None:
    """The pitch of step k, by the inverse of the formula, gives step k."""
    low, high = 1127 * np.log(1 + np.array([50.0, 1100.0]) / 700)
    wanted = np.arange(1, 256)
    mel = low + (wanted - 1) * (high - low) / 254
    assert (coarse_pitch(700 * (np.exp(mel / 1127) - 1)) == wanted).all()


def test_any_shape_is_kept() -> None:
    """float32 in a batch, too."""
    assert coarse_pitch(np.full((2, 3), 200, np.float32)).shape == (2, 3)

"""From activations to a pitch: against the original's, and its rules one by one."""

import numpy as np
import pytest

from models.rmvpe_decode import BINS, FIRST_BIN_CENTS, pitch_hz
from tests import golden


def hz(cents: float) -> float:
    """Cents above 10 Hz."""
    return float(10 * 2 ** (cents / 1200))


def one_frame(peaks: dict[int, float]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """A frame with activations in a few bins."""
    frame = np.zeros((1, BINS), np.float32)
    for place, value in peaks.items():
        frame[0, place] = value
    return frame


@golden.needed
@pytest.mark.parametrize(
    ("salience", "f0"),
    [("hand_salience", "hand_f0"), ("salience", "f0_from_salience"), ("hidden_from_mel", "f0_from_audio")],
)
def test_the_pitch_is_the_original_s(salience: str, f0: str) -> None:
    """To the last bit or the one before it, hand-made frames at the ends of the range and at the threshold, too."""
    stored = golden.arrays("rmvpe")
    np.testing.assert_allclose(pitch_hz(stored[salience]), stored[f0], rtol=1e-14)


def test_a_single_bin_is_its_own_pitch() -> None:
    """Twenty cents a bin, also at both ends, where the neighbours are missing."""
    for place in (0, 3, 180, BINS - 1):
        assert pitch_hz(one_frame({place: 0.5}))[0] == pytest.approx(hz(FIRST_BIN_CENTS + 20 * place), rel=1e-9)


def test_neighbours_pull_by_their_weight_and_others_do_not() -> None:
    """Four bins to each side take part."""
    pulled = pitch_hz(one_frame({100: 0.6, 104: 0.3}))[0]
    assert pulled == pytest.approx(hz(FIRST_BIN_CENTS + 2000 + 80 / 3), rel=1e-6)
    assert pitch_hz(one_frame({100: 0.6, 105: 0.5}))[0] == pytest.approx(hz(FIRST_BIN_CENTS + 2000), rel=1e-9)


def test_what_is_not_above_the_threshold_is_unvoiced() -> None:
    """0.03 itself is not; silence divides by nothing."""
    at = float(np.float32(0.03))
    assert pitch_hz(one_frame({100: at}), threshold=at)[0] == 0
    assert pitch_hz(one_frame({100: 0.031}))[0] > 0
    assert pitch_hz(one_frame({}))[0] == 0

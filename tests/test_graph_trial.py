"""What a network is asked before it may serve, and what is concluded from its answers."""

import numpy as np
import pytest

from models import graph_trial
from models.model_spec import TensorSpec

INPUTS = (TensorSpec(name="picture", shape=(None, 3, None, 8)), TensorSpec(name="who", shape=(None, 512)))
RAMP = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_noise_is_a_picture_or_an_identity() -> None:
    """A picture in [0, 1); an identity of unit length, as real ones are: longer ones overflow in half precision."""
    sizes = graph_trial.sizes_of(INPUTS, 16)
    assert sizes == {"picture": (1, 3, 16, 8), "who": (1, 512)}
    feeds = graph_trial.noise(INPUTS, sizes, 1)
    assert 0 <= feeds["picture"].min() < 0.1 < 0.9 < feeds["picture"].max() < 1
    np.testing.assert_allclose(np.linalg.norm(feeds["who"], axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(graph_trial.noise(INPUTS, sizes, 1)["who"], feeds["who"])
    assert np.abs(graph_trial.noise(INPUTS, sizes, 2)["who"] - feeds["who"]).max() > 0.01


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        ([(RAMP,), (RAMP + 1,)], ""),
        ([(RAMP, RAMP), (RAMP, RAMP + 1)], ""),
        ([(RAMP,), (RAMP * np.nan,)], "gives numbers that are not finite"),
        ([(RAMP * 0,), (RAMP,)], "gives a constant"),
        ([(RAMP,), (RAMP,)], "gives the same answer to different pictures"),
    ],
    ids=["sound", "one of two follows", "nan", "black", "deaf"],
)
def test_nonsense_is_named(answers: list[graph_trial.Answer], fault: str) -> None:
    """One output that follows the picture is enough."""
    assert graph_trial.fault(answers) == fault


def test_the_worst_output_counts_as_a_share_of_its_own_size() -> None:
    """Scores of a thousandth may differ by their own size, pixels may not; what is no number is infinitely far."""
    plain, off = (RAMP,), (RAMP * np.float32(1.1),)
    assert graph_trial.distance(plain, plain) == 0
    assert graph_trial.distance(off, plain) == pytest.approx(0.1, rel=1e-4)
    faint = RAMP * np.float32(1e-5)
    assert graph_trial.distance((RAMP, faint * 2), (RAMP, faint)) < 0.01
    assert graph_trial.distance((RAMP, faint), (RAMP * 2, faint)) == pytest.approx(0.5)
    assert graph_trial.distance((RAMP * np.nan,), plain) == float("inf")
    assert graph_trial.distance((RAMP[:1],), plain) == float("inf")

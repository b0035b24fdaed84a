"""The networks' contracts: RGB in [-1, 1], names, batches, and answers that are no pictures."""

import cv2
import numpy as np
import pytest

from models.engines import Frame
from models.enhancer import EnhancerKind
from models.enhancer_graph import CODEFORMER_KIND, GFPGAN_KIND, GPEN_KIND, GraphEnhancer, as_pictures
from models.runtime import NetworkError
from tests.enhancer_parts import graph_of, sharpener
from tests.test_enhancer_view import soft

FILES = {
    "codeformer": (CODEFORMER_KIND, sharpener()),
    "gpen-256": (GPEN_KIND, sharpener(256, batch=1, fidelity=False, names=("in", "out"))),
    "gfpgan": (GFPGAN_KIND, sharpener(512, batch=1, fidelity=False, names=("input", "output"))),
}


def sharpened(picture: Frame, share: float) -> np.ndarray:
    """What the stand-in computes, by OpenCV, in levels; the rim of the convolution is another's."""
    value = picture.astype(np.float32)
    return np.asarray(np.clip(value + share * (value - cv2.blur(value, (5, 5))), 0, 255))


@pytest.mark.parametrize("name", FILES)
def test_pictures_go_in_and_out_as_each_network_has_them(name: str) -> None:
    """Two faces, channel by channel, half a level exact: normalised, RGB, in a batch or one after another."""
    kind, content = FILES[name]
    pictures = [soft(kind.size_px, 1), soft(kind.size_px, 2)]
    pictures[1][..., 0] //= 3
    fidelities = [0.25, 0.75]
    answers = GraphEnhancer(graph_of(content, kind), kind).enhance(pictures, fidelities)
    for picture, answer, fidelity in zip(pictures, answers, fidelities, strict=True):
        assert answer is not None
        wanted = sharpened(picture, 1 - fidelity if name == "codeformer" else 0.5)
        assert np.abs(answer - wanted)[4:-4, 4:-4].max() <= 1


@pytest.mark.parametrize(("kind", "other"), [(CODEFORMER_KIND, "gfpgan"), (GFPGAN_KIND, "codeformer")])
def test_a_file_of_another_network_is_refused_at_load(kind: EnhancerKind, other: str) -> None:
    """By its inputs, before anything runs."""
    with pytest.raises(NetworkError, match="it is another network"):
        graph_of(FILES[other][1], kind)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.3], ids=["nan", "infinite", "constant"])
def test_what_is_no_picture_is_none_and_costs_nobody_else_theirs(value: float) -> None:
    """One face of a batch; that nobody of it is believed is the stage's to judge."""
    out = np.random.default_rng(1).uniform(-1, 1, (2, 3, 8, 8)).astype(np.float32)
    first, second = as_pictures(out)
    assert first is not None
    assert second is not None
    out[1] = value
    kept, none = as_pictures(out)
    assert none is None
    np.testing.assert_array_equal(kept, first)


def test_numbers_beyond_the_range_are_its_ends() -> None:
    """Restorers overshoot."""
    out = np.linspace(-3, 3, 3 * 64, dtype=np.float32).reshape(1, 3, 8, 8)
    (picture,) = as_pictures(out)
    assert picture is not None
    assert (picture.min(), picture.max()) == (0, 255)
    assert picture[0, 0, 2] == 0
    assert picture[-1, -1, 0] == 255

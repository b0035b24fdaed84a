"""Templates and alignment: fixed points of the definition, and the least-squares turn."""

import numpy as np
import pytest

from models import face_templates
from models.face_templates import ARCFACE_112_PX, FFHQ_512_PX, arcface_template, similarity


@pytest.mark.parametrize("size_px", [112, 224, 128, 256])
def test_a_face_that_lies_on_its_template_is_not_moved(size_px: int) -> None:
    """The alignment of a template with itself is the identity."""
    template = arcface_template(size_px)
    np.testing.assert_allclose(similarity(template, template), [[1, 0, 0], [0, 1, 0]], atol=1e-9)


def test_the_crop_of_128_is_the_one_of_112_with_eight_more_on_either_side() -> None:
    """And 256 is twice 128; a size that is neither is refused."""
    np.testing.assert_allclose(arcface_template(128), ARCFACE_112_PX + [8, 0])
    np.testing.assert_allclose(arcface_template(256), 2 * arcface_template(128))
    with pytest.raises(ValueError, match="100"):
        arcface_template(100)


def test_a_turned_scaled_and_shifted_face_is_brought_back() -> None:
    """Any similarity is undone exactly; `inverse` is its other way."""
    turn = np.array([[0.9, -1.1], [1.1, 0.9]])
    moved = ARCFACE_112_PX @ turn.T + [31, -7]
    to_crop = similarity(moved, ARCFACE_112_PX)
    np.testing.assert_allclose(moved @ to_crop[:, :2].T + to_crop[:, 2], ARCFACE_112_PX, atol=1e-9)
    np.testing.assert_allclose(face_templates.inverse(to_crop), np.c_[turn, [31, -7]], atol=1e-9)


def test_no_small_change_fits_better() -> None:
    """For points that no similarity brings home: the optimum of the squares, not some fit."""
    rng = np.random.default_rng(3)
    points = ARCFACE_112_PX * 2 + rng.normal(0, 6, (5, 2))

    def misfit(affine: np.ndarray) -> float:
        return float(((points @ affine[:, :2].T + affine[:, 2] - ARCFACE_112_PX) ** 2).sum())

    best = similarity(points, ARCFACE_112_PX)
    for scale, turn, x, y in [(1.003, 0, 0, 0), (1, 0.003, 0, 0), (1, 0, 0.1, 0), (1, 0, 0, 0.1)]:
        for sign in (1, -1):
            a, b = best[0, 0] * scale**sign, best[1, 0] + sign * turn
            assert misfit(np.array([[a, -b, best[0, 2] + sign * x], [b, a, best[1, 2] + sign * y]])) > misfit(best)


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), np.nan)])
def test_points_that_say_nothing_are_refused(points: np.ndarray) -> None:
    """All in one place, or no numbers."""
    with pytest.raises(ValueError, match="alignment"):
        similarity(points, ARCFACE_112_PX)


def test_a_swapped_crop_reaches_a_restorer_s_crop_by_one_constant_turn() -> None:
    """The two templates differ by less than people do: no detection in between, so no jitter of its own."""
    to_ffhq = similarity(arcface_template(128), FFHQ_512_PX)
    apart = np.linalg.norm(arcface_template(128) @ to_ffhq[:, :2].T + to_ffhq[:, 2] - FFHQ_512_PX, axis=1)
    assert apart.max() < 0.04 * 512, apart


def test_a_crop_is_black_beyond_the_edge() -> None:
    """A face at the corner of a picture still makes a whole crop."""
    white = np.full((20, 20, 3), 255, np.uint8)
    crop = face_templates.crop(white, np.array([[1.0, 0, 100], [0, 1, 100]]), 112)
    assert crop.shape == (112, 112, 3)
    assert crop[:99].max() == 0
    assert crop[100:, 100:].min() == 255

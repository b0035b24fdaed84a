"""Two faces cheek to cheek: each is pasted on its own side, whoever comes first, and nothing of them is left out."""

import numpy as np
import pytest

from models import face_templates, neural_paste
from models.crop_edges import core
from models.face_borders import kept_apart
from models.face_templates import Affine

SIZE = 128
ALPHA = neural_paste.soft_alpha(SIZE)


def way(middle_px: tuple[float, float], face_px: float, turn: float = 0.0) -> Affine:
    """From a frame to the crop of a face whose crop is `face_px` wide there."""
    scale = SIZE / face_px
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.column_stack([linear, np.full(2, SIZE / 2) - linear @ np.asarray(middle_px)])


def painted(alphas: list[np.ndarray], ways: list[Affine]) -> np.ndarray:
    """A black frame with each face's level, 60 for the first and 120 for the second, in the order given."""
    frame = np.zeros((300, 400, 3), np.uint8)
    for number, (alpha, to_crop) in enumerate(zip(alphas, ways, strict=True)):
        neural_paste.paste(frame, np.full((SIZE, SIZE, 3), 60 * (number + 1), np.uint8), alpha, to_crop)
    return frame


def middles(to_crop: Affine) -> np.ndarray:
    """Which pixels of the frame are the middle of a face."""
    frame = np.zeros((300, 400, 3), np.uint8)
    neural_paste.paste(frame, np.full((SIZE, SIZE, 3), 255, np.uint8), core(SIZE), to_crop)
    return frame[..., 0] > 250


@pytest.mark.parametrize(("small_px", "apart_px"), [(140, 90), (60, 75), (60, 60), (80, 70)])
@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_each_middle_is_its_own_face_s(small_px: float, apart_px: float, turn: float) -> None:
    """In either order; without the borders the later one lies over the earlier."""
    ways = [way((150, 150), small_px, turn), way((150 + apart_px, 150), 140)]
    only = middles(ways[0]) & ~middles(ways[1])
    assert only.any()
    for order in ([0, 1], [1, 0]):
        pair = [ways[index] for index in order]
        frame = painted(kept_apart([ALPHA, ALPHA], pair), pair)
        level = 60 * (order.index(0) + 1)
        near = np.abs(frame[only].astype(int) - level).max(axis=1) < 12
        assert near.mean() > 0.97
    pair = [ways[0], ways[1]]
    if apart_px <= 70:
        assert (np.abs(painted([ALPHA, ALPHA], pair)[only].astype(int) - 60).max(axis=1) > 12).mean() > 0.1


def test_faces_far_apart_are_left_whole() -> None:
    """The very same array: nothing is computed for them."""
    (one, other) = kept_apart([ALPHA, ALPHA], [way((80, 150), 60), way((300, 150), 60)])
    assert one is ALPHA
    assert other is ALPHA
    assert kept_apart([], []) == []


def test_the_same_place_twice_is_covered_once() -> None:
    """Two tracks on one face: no pixel is left to nobody."""
    to_crop = face_templates.similarity(
        face_templates.arcface_template(SIZE) + 40, face_templates.arcface_template(SIZE)
    )
    one, other = kept_apart([ALPHA, ALPHA], [to_crop, to_crop])
    np.testing.assert_array_equal(np.maximum(one, other), ALPHA)
    assert not np.minimum(one, other).any()

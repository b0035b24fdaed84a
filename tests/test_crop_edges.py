"""Where a swap covers the raw face: whatever the networks say, the middle of it is covered, or all of it is blurred."""

import cv2
import numpy as np
import pytest

from models import neural_paste
from models.crop_edges import CropEdges
from models.engines import Frame
from models.face_parser import FaceParser
from models.neural_paste import Alpha
from models.swapper import SwappedCrop
from models.xseg import XSeg
from tests.mask_graphs import parser_graph, xseg_graph

SIZE = 128
SKIN = np.full((SIZE, SIZE, 3), (250, 60, 90), np.uint8)
"""Blue enough for the stand-in of XSeg to be face, not red enough for that of the parser to be mouth."""
MIDDLE = (slice(48, 96), slice(44, 84))
EYES = slice(int(np.ceil(0.27 * SIZE - 0.5)), int(np.ceil(0.53 * SIZE - 0.5)))
"""Rows."""


def answer(alpha: int | None = None) -> SwappedCrop:
    """A swap, with an edge that is the same everywhere."""
    return SwappedCrop(
        picture=np.zeros((SIZE, SIZE, 3), np.uint8),
        alpha=None if alpha is None else np.full((SIZE, SIZE), alpha, np.uint8),
    )


def masked(crop: Frame) -> Alpha | None:
    """The alpha of one crop with both networks there."""
    edges = CropEdges(SIZE, occlusion=XSeg(xseg_graph()), parser=FaceParser(parser_graph()))
    return edges.draw([crop], [answer()])[0]


def test_without_networks_it_is_the_soft_square() -> None:
    """For each crop."""
    alphas = CropEdges(SIZE).draw([SKIN, SKIN], [answer(), answer(255)])
    for alpha in alphas:
        np.testing.assert_array_equal(alpha, neural_paste.soft_alpha(SIZE))


def test_a_swapper_s_edge_of_nothing_leaves_the_middle_covered() -> None:
    """It shapes the rim only: a mask that fails never shows the raw face."""
    (alpha,) = CropEdges(SIZE).draw([SKIN], [answer(0)])
    assert alpha is not None
    assert (alpha[MIDDLE] == 255).all()
    assert alpha[64, 8] == 0
    assert (alpha <= neural_paste.soft_alpha(SIZE)).all()


def test_what_lies_before_the_face_shows() -> None:
    """A bar across the cheek, softly and no wider than the network says; the rest stays covered."""
    crop = SKIN.copy()
    crop[70:90, :50] = 0
    alpha = masked(crop)
    assert alpha is not None
    assert (alpha[76:84, 30:44] < 40).all()
    square = neural_paste.soft_alpha(SIZE)
    np.testing.assert_array_equal(alpha[:68], square[:68])
    np.testing.assert_array_equal(alpha[:, 54:], square[:, 54:])


@pytest.mark.parametrize("hidden", [(slice(36, 66), slice(0, 128)), (slice(66, 128), slice(0, 128))])
def test_a_hand_over_both_eyes_or_over_half_the_face_shows_nothing(hidden: tuple[slice, slice]) -> None:
    """By what could be seen there somebody could be recognised, if the network errs: blurred instead."""
    crop = SKIN.copy()
    crop[hidden] = 0
    assert masked(crop) is None


def test_a_hand_over_one_eye_shows_below_it_only() -> None:
    """The band of the eyes is the swap's as if nothing hid them, right across: there nothing raw is seen."""
    crop = SKIN.copy()
    crop[36:62, 64:128] = 0
    crop[62:86, 86:128] = 0
    alpha, square = masked(crop), neural_paste.soft_alpha(SIZE)
    assert alpha is not None
    assert (EYES.start, EYES.stop) == (35, 68)
    np.testing.assert_array_equal(alpha[: EYES.stop], square[: EYES.stop])
    np.testing.assert_array_equal(alpha[:, :64], square[:, :64])
    assert (alpha[72:82, 90:104] < 40).all()


def test_who_wears_glasses_is_swapped_and_not_blurred() -> None:
    """The network takes their rims for something held before the face: 15 % of the band, all of it covered."""
    crop = SKIN.copy()
    for x_px in (46, 81):
        cv2.ellipse(crop, (x_px, 53), (15, 11), 0, 0, 360, (0, 0, 0), 3)
    np.testing.assert_array_equal(masked(crop), neural_paste.soft_alpha(SIZE))
    thin = SKIN.copy()
    thin[44:50, 44:54] = 0
    alpha = masked(thin)
    assert alpha is not None
    assert (alpha[EYES] < neural_paste.soft_alpha(SIZE)[EYES]).any()


def test_a_network_that_sees_no_face_at_all_shows_none() -> None:
    """More than a hand could hide: there is no edge, so that the face is blurred."""
    assert masked(np.zeros_like(SKIN)) is None


@pytest.mark.parametrize(
    ("rows", "wide_px", "shown"),
    [(slice(88, 98), 10, True), (slice(20, 30), 10, False), (slice(60, 128), 30, False)],
)
def test_only_the_inside_of_the_mouth_shows_and_only_there(rows: slice, wide_px: int, shown: bool) -> None:
    """Where a mouth is, and no more than a mouth is: elsewhere, or too much of it, is an error of the network."""
    crop = SKIN.copy()
    crop[rows, 64 - wide_px : 64 + wide_px, 2] = 255
    alpha = masked(crop)
    assert alpha is not None
    opened = alpha < neural_paste.soft_alpha(SIZE)
    assert bool(opened[86:100, 54:74].any()) is shown
    assert not opened[:84].any()


def test_noise_of_a_few_pixels_stays_covered() -> None:
    """It would flicker."""
    crop = SKIN.copy()
    crop[60, 60] = 0
    np.testing.assert_array_equal(masked(crop), neural_paste.soft_alpha(SIZE))

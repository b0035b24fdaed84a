"""Paste-back: as the whole-frame formula with the same alpha, nothing outside touched, at any place of the frame."""

import cv2
import numpy as np
import pytest

from models import face_templates
from models.engines import Frame
from models.neural_paste import Alpha, covered, paste, soft_alpha

RNG = np.random.default_rng(5)
FRAME = np.asarray(cv2.GaussianBlur(RNG.integers(0, 256, (512, 512, 3), np.uint8), (5, 5), 0), np.uint8)
SWAPPED = np.asarray(cv2.GaussianBlur(RNG.integers(0, 256, (128, 128, 3), np.uint8), (5, 5), 0), np.uint8)


def to_crop(x_px: float, y_px: float, side_px: float, turn_rad: float = 0.2) -> np.ndarray:
    """The way from the frame into a crop of 128 for a face box of `side_px` about (x, y)."""
    scale = 128 / side_px
    cos, sin = scale * np.cos(turn_rad), scale * np.sin(turn_rad)
    return np.array([[cos, sin, 64 - cos * x_px - sin * y_px], [-sin, cos, 64 + sin * x_px - cos * y_px]])


def whole_frame(frame: Frame, swapped: Frame, alpha: Alpha, affine: np.ndarray) -> np.ndarray:
    """The plain formula, over every pixel of the frame, in floats."""
    back, size = face_templates.inverse(affine), frame.shape[1::-1]
    over = cv2.warpAffine(swapped, back, size, borderMode=cv2.BORDER_REPLICATE).astype(float)
    share = cv2.warpAffine(alpha, back, size, borderValue=0).astype(float)[..., None] / 255
    return over * share + frame * (1 - share)


PLACES = {
    "inside": to_crop(250, 260, 300),
    "small": to_crop(100, 380, 60),
    "over the corner": to_crop(10, 500, 300),
    "larger than the frame": to_crop(256, 256, 900),
    "upside down": to_crop(256, 256, 200, np.pi),
}


def hard_alpha() -> Alpha:
    """Nothing at the rim, everything inside: an edge that shows where the region ends."""
    alpha = np.zeros((128, 128), np.uint8)
    alpha[1:-1, 1:-1] = 255
    return alpha


@pytest.mark.parametrize("alpha", [soft_alpha(128), hard_alpha()], ids=["soft", "hard"])
@pytest.mark.parametrize("place", PLACES)
def test_the_region_alone_is_what_the_whole_frame_would_be(place: str, alpha: Alpha) -> None:
    """To two levels of 255 everywhere, and byte by byte where the alpha is nothing."""
    frame = FRAME.copy()
    paste(frame, SWAPPED, alpha, PLACES[place])
    wanted = whole_frame(FRAME, SWAPPED, alpha, PLACES[place])
    assert np.abs(frame - wanted).max() <= 2
    patch = covered(FRAME, alpha, PLACES[place])
    assert patch is not None
    outside = np.ones(frame.shape[:2], bool)
    outside[patch.y0 : patch.y1, patch.x0 : patch.x1] = False
    np.testing.assert_array_equal(frame[outside], FRAME[outside])
    share = cv2.warpAffine(alpha, face_templates.inverse(PLACES[place]), (512, 512), borderValue=0)
    np.testing.assert_array_equal(frame[share == 0], FRAME[share == 0])
    assert (frame != FRAME).any()


def test_the_region_is_no_larger_than_the_face() -> None:
    """An upright crop of 300 pixels costs no more than 302 x 302."""
    patch = covered(FRAME, soft_alpha(128), to_crop(250, 260, 300, 0))
    assert patch is not None
    assert 250 < patch.x1 - patch.x0 <= 302
    assert 250 < patch.y1 - patch.y0 <= 302


@pytest.mark.parametrize("place", [(-400, 250), (250, 1000), (5000, 5000)])
def test_a_face_beyond_the_frame_changes_nothing(place: tuple[float, float]) -> None:
    """It walked out between two frames: no error."""
    frame = FRAME.copy()
    paste(frame, SWAPPED, soft_alpha(128), to_crop(*place, 200))
    np.testing.assert_array_equal(frame, FRAME)


def test_a_part_of_a_larger_picture_is_written_in_place() -> None:
    """The frame may be a view; what lies around it stays."""
    around = np.zeros((600, 600, 3), np.uint8)
    paste(around[44:556, 44:556], SWAPPED, soft_alpha(128), PLACES["over the corner"])
    assert around[44:556, 44:556].any()
    around[44:556, 44:556] = 0
    assert not around.any()


@pytest.mark.parametrize("size_px", [128, 256])
def test_the_alpha_is_whole_on_the_face_and_nothing_at_the_rim(size_px: int) -> None:
    """All five points and the brows wear the swap fully; the outermost pixels not at all, so that no edge shows."""
    alpha = soft_alpha(size_px)
    rim = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    assert not rim.any()
    for x, y in face_templates.arcface_template(size_px):
        assert alpha[round(y), round(x)] == 255
    assert np.abs(np.diff(alpha.astype(int), axis=1)).max() <= 255 * 24 // size_px
    np.testing.assert_array_equal(alpha, alpha[:, ::-1])

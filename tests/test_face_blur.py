"""What is left of a blurred face."""

import cv2
import numpy as np
import pytest

from models.engines import Frame
from models.face_blur import blur_box
from models.geometry import Floats, grown
from tests.arcface import FaceJudge
from tests.media import ASSETS, have_assets, talking_head
from tests.test_face_detector import detector


def noise(height_px: int = 120, width_px: int = 160) -> Frame:
    """A frame with detail everywhere."""
    return np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3)).astype(np.uint8)


def box(*edges: float) -> Floats:
    """A box from its four edges."""
    return np.array(edges, np.float32)


def test_nobody_can_tell_who_was_blurred() -> None:
    """The face's detail is gone; where the judge's weights are there, it finds no face, and not this person."""
    frame = talking_head().frames[0].copy()
    before = frame.copy()
    (face,) = detector().detect(frame)
    blur_box(frame, grown(face.box, 0.25))
    x0, y0, x1, y1 = face.box.astype(int)
    sharp, blurred = (float(cv2.Laplacian(f[y0:y1, x0:x1], cv2.CV_64F).var()) for f in (before, frame))
    assert blurred < 0.1 * sharp
    if have_assets():
        judge = FaceJudge(ASSETS / "models")
        points = judge.detect(before)[0].points
        assert judge.detect(frame) == []
        assert float(judge.embed(frame, points) @ judge.embed(before, points)) < 0.25


def test_only_the_box_changes() -> None:
    """Pixels outside keep their values; the frame is written in place."""
    frame = noise()
    before = frame.copy()
    blur_box(frame, box(20.4, 30.2, 79.5, 99.1))
    outside = np.ones(frame.shape[:2], bool)
    outside[30:100, 20:80] = False
    np.testing.assert_array_equal(frame[outside], before[outside])
    assert np.abs(frame[30:100, 20:80].astype(int) - before[30:100, 20:80]).mean() > 30


@pytest.mark.parametrize("side_px", [6, 20, 40, 100])
def test_detail_is_gone_at_every_size(side_px: int) -> None:
    """Two pictures with the same cell means give the same blur: nothing finer than 8 x 8 cells passes."""
    frame = noise(side_px, side_px)
    cells = min(8, max(1, side_px // 5))
    blur_box(frame, box(0, 0, side_px, side_px))
    spectrum = np.abs(np.fft.fft2(frame[..., 1] - frame[..., 1].mean()))
    fine = spectrum[cells + 1 : -cells or None, cells + 1 : -cells or None]
    assert fine.size == 0 or (fine**2).sum() < 0.05 * max((spectrum**2).sum(), 1.0)


@pytest.mark.parametrize(
    "edges",
    [
        (-50, -50, 30, 30),
        (140, 100, 900, 900),
        (-1e9, -1e9, 1e9, 1e9),
        (300, 300, 400, 400),
        (50, 50, 40, 40),
        (10, 10, 10, 10),
        (np.nan, 0, 40, 40),
        (0, 0, np.inf, 20),
    ],
)
def test_any_box_is_survived(edges: tuple[float, ...]) -> None:
    """Over the edge, outside, inverted, empty, not a number: the frame keeps its shape and nothing is raised."""
    frame = noise()
    blur_box(frame, box(*edges))
    assert frame.shape == (120, 160, 3)


def test_a_box_over_the_edge_hides_what_is_inside() -> None:
    """A face half out of the picture is blurred in its visible half."""
    frame = noise()
    before = frame.copy()
    blur_box(frame, box(-40, 20, 40, 100))
    assert np.abs(frame[20:100, :40].astype(int) - before[20:100, :40]).mean() > 30

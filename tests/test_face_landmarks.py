"""The landmarks on real photographs."""

from functools import cache

import cv2
import numpy as np
import pytest

from models.catalog import FACE_LANDMARKS
from models.face_landmarks import FaceLandmarker, Landmarks, is_face, roi_from_detection, roi_from_landmarks
from models.geometry import Roi, bounds
from models.runtime import LiteRTNetwork
from tests.model_store import model_store
from tests.test_face_detector import astronaut, detector, warped

NOSE_TIP, CHIN, FOREHEAD, LEFT_EYE, RIGHT_EYE = 1, 152, 10, 33, 263


@cache
def landmarker() -> FaceLandmarker:
    """The landmarker with Google's network."""
    return FaceLandmarker(LiteRTNetwork(model_store().path(FACE_LANDMARKS)))


def located() -> Landmarks:
    """The astronaut's landmarks after two looks."""
    first = landmarker().locate(astronaut(), roi_from_detection(detector().detect(astronaut())[0]))
    return landmarker().locate(astronaut(), roi_from_landmarks(first.points))


def test_landmarks_lie_on_the_face() -> None:
    """Presence is certain, points are in frame pixels, the nose stands out towards the viewer."""
    found = located()
    assert found.points.shape == (468, 3)
    assert found.points.dtype == np.float32
    assert found.score > 0.99
    np.testing.assert_allclose(found.points[[LEFT_EYE, RIGHT_EYE]].mean(axis=0)[:2], [226, 103], atol=6)
    assert found.points[FOREHEAD, 1] < found.points[NOSE_TIP, 1] < found.points[CHIN, 1]
    assert found.points[NOSE_TIP, 2] < -15 < 0 < found.points[234, 2]  # the last is by the ear


@pytest.mark.parametrize("angle_deg", [-50, -25, 25, 50])
def test_landmarks_turn_with_the_head(angle_deg: float) -> None:
    """Turned by an angle and found through the detector, the points are those of the upright picture, turned."""
    turn = np.asarray(cv2.getRotationMatrix2D((224, 120), angle_deg, 1.5), np.float32)
    turned = warped(astronaut(), turn)
    found = landmarker().locate(turned, roi_from_detection(detector().detect(turned)[0]))
    found = landmarker().locate(turned, roi_from_landmarks(found.points))
    expected = located().points[:, :2] @ turn[:, :2].T + turn[:, 2]
    assert np.linalg.norm(found.points[:, :2] - expected, axis=1).mean() < 0.03 * np.ptp(expected[:, 1])


def test_the_next_region_is_steady() -> None:
    """On a still picture the region found from landmarks leads to the same landmarks: no drift in fifty rounds."""
    start = located().points
    points = start
    for _ in range(50):
        points = landmarker().locate(astronaut(), roi_from_landmarks(points)).points
    assert np.abs(points - start).max() < 2.0


def test_no_presence_on_background_or_under_a_cover() -> None:
    """What is not a face scores low: the flat sky behind her, and her face painted over."""
    empty = landmarker().locate(astronaut(), Roi(x_px=60, y_px=90, size_px=150, angle_rad=0))
    assert empty.score < 0.5
    covered = astronaut()
    cv2.ellipse(covered, (224, 120), (62, 74), 0, 0, 360, (150, 170, 210), -1)
    hidden = landmarker().locate(covered, roi_from_landmarks(located().points))
    assert hidden.score < 0.5
    assert not is_face(hidden, covered)


def test_depth_has_the_scale_of_the_plane() -> None:
    """The same face at twice the size is twice as deep."""
    large = np.asarray(cv2.resize(astronaut(), (1024, 1024), interpolation=cv2.INTER_LINEAR), np.uint8)
    found = landmarker().locate(large, roi_from_landmarks(located().points * 2))
    assert np.ptp(found.points[:, 2]) == pytest.approx(2 * np.ptp(located().points[:, 2]), rel=0.03)


def test_implausible_landmarks_are_no_face() -> None:
    """Absent, not finite, collapsed to a line or a dot, or mostly outside the picture."""
    good, frame = located(), astronaut()
    assert is_face(good, frame)
    assert not is_face(Landmarks(points=good.points, score=0.4), frame)
    broken = good.points.copy()
    broken[7, 2] = np.nan
    assert not is_face(Landmarks(points=broken, score=1.0), frame)
    for squeeze in ([1, 0.1, 1], [0.1, 1, 1], [0.05, 0.05, 1]):
        assert not is_face(Landmarks(points=good.points * np.array(squeeze, np.float32), score=1.0), frame)
    x1 = bounds(good.points)[2]
    outside = good.points - np.array([x1 - 10, 0, 0], np.float32)
    assert not is_face(Landmarks(points=outside, score=1.0), frame)

"""The optical flow alone, on a textured face that is moved in known ways."""

import cv2
import numpy as np
import pytest

from models.point_carrier import Grey, PointCarrier

BOX = np.array([100, 80, 200, 200], np.float32)
POINTS = np.array([[125, 120], [175, 120], [150, 145], [130, 170], [170, 170]], np.float32)


def scene() -> Grey:
    """Soft noise: something to hold on to everywhere."""
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.integers(0, 256, (288, 360), np.uint8), (0, 0), 2.5)
    return np.asarray(cv2.normalize(noise, noise.copy(), 0, 255, cv2.NORM_MINMAX), np.uint8)


def moved(grey: Grey, motion: np.ndarray) -> Grey:
    """The scene under an affine motion (2, 3)."""
    return np.asarray(cv2.warpAffine(grey, motion, grey.shape[::-1], borderMode=cv2.BORDER_REFLECT), np.uint8)


@pytest.mark.parametrize(
    "motion",
    [
        np.array([[1, 0, 3.4], [0, 1, -2.6]]),
        np.array([[1, 0, 12.0], [0, 1, 9.0]]),
        cv2.getRotationMatrix2D((150, 140), 4, 1.0),
        cv2.getRotationMatrix2D((150, 140), 0, 1.05),
    ],
    ids=["shift", "far", "turn", "zoom"],
)
def test_points_follow_a_similarity_to_half_a_pixel(motion: np.ndarray) -> None:
    """And the box with them; nearly all features agree."""
    before = scene()
    carrier = PointCarrier(before, POINTS, BOX)
    carried = carrier.carry(before, moved(before, motion))
    assert carried is not None
    wanted = POINTS @ motion[:, :2].T + motion[:, 2]
    assert np.abs(carried.points - wanted).max() <= 0.5
    middle = motion[:, :2] @ ((BOX[:2] + BOX[2:]) / 2) + motion[:, 2]
    np.testing.assert_allclose((carried.box[:2] + carried.box[2:]) / 2, middle, atol=0.5)
    assert carried.inlier_ratio >= 0.9


def test_the_ratio_falls_with_what_is_covered() -> None:
    """Something in front of the lower half takes its features away, for good, until a detection sows new ones."""
    before = scene()
    covered = before.copy()
    covered[140:, :] = 128
    carrier = PointCarrier(before, POINTS, BOX)
    first, second = carrier.carry(before, covered), carrier.carry(covered, covered)
    assert first is not None
    assert second is not None
    assert 0.2 < first.inlier_ratio < 0.75
    assert second.inlier_ratio <= first.inlier_ratio
    carrier.correct(before, POINTS, BOX)
    again = carrier.carry(before, before)
    assert again is not None
    assert again.inlier_ratio > 0.95


def test_what_cannot_be_followed_is_lost() -> None:
    """Another scene, a face without features, a jump of half a face, a face outside the picture."""
    before = scene()
    assert PointCarrier(before, POINTS, BOX).carry(before, np.asarray(255 - scene()[::-1, ::-1], np.uint8)) is None
    flat = np.full_like(before, 90)
    assert PointCarrier(flat, POINTS, BOX).carry(flat, flat) is None
    jump = moved(before, np.array([[1, 0, 75.0], [0, 1, 0]]))
    assert PointCarrier(before, POINTS, BOX).carry(before, jump) is None
    away = BOX + np.array([400, 0, 400, 0], np.float32)
    assert PointCarrier(before, POINTS, away).carry(before, before) is None


def test_a_detection_is_leaned_towards_and_a_far_one_is_followed() -> None:
    """A third of two pixels; all of twenty."""
    carrier = PointCarrier(scene(), POINTS, BOX)
    carrier.correct(scene(), POINTS + np.float32(2), BOX)
    np.testing.assert_allclose(carrier.points - POINTS, 0.7, atol=1e-4)
    carrier.correct(scene(), POINTS + np.float32(20), BOX + np.float32(20))
    np.testing.assert_allclose(carrier.points - POINTS, 20, atol=1e-4)
    np.testing.assert_allclose(carrier.box - BOX, 20, atol=1e-4)

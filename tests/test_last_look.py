"""Whether somebody who is no longer found is still at their place."""

import cv2
import numpy as np
import pytest

from models.last_look import is_still_there, look
from models.point_carrier import Grey

BOX = np.array([80, 60, 160, 160], np.float32)


def drawn(seed: int) -> Grey:
    """A soft pattern, (240, 320)."""
    rough = np.random.default_rng(seed).uniform(0, 255, (24, 32)).astype(np.float32)
    return np.asarray(cv2.resize(rough, (320, 240), interpolation=cv2.INTER_CUBIC).clip(0, 255), np.uint8)


def noisy(grey: Grey) -> Grey:
    """The next frame of a bad camera in another light."""
    noise = np.random.default_rng(9).normal(12, 8, grey.shape)
    return np.asarray((grey * 0.8 + noise).clip(0, 255), np.uint8)


@pytest.mark.parametrize(("x_px", "y_px", "there"), [(0, 0, True), (35, -40, True), (-30, 45, True), (110, 0, False)])
def test_a_face_is_known_again_within_half_a_side(x_px: int, y_px: int, there: bool) -> None:
    """In other light and with noise."""
    before = drawn(1)
    seen = look(before, BOX)
    moved = drawn(2)
    x0, y0 = 80 + x_px, 60 + y_px
    moved[y0 : y0 + 100, x0 : x0 + 80] = before[60:160, 80:160]
    assert is_still_there(seen, noisy(moved), BOX) == there


@pytest.mark.parametrize("picture", [drawn(3), np.full((240, 320), 90, np.uint8), np.zeros((240, 320), np.uint8)])
def test_another_picture_is_not_they(picture: Grey) -> None:
    """Nor a wall, nor the dark."""
    assert not is_still_there(look(drawn(1), BOX), picture, BOX)


def test_who_was_at_the_border_may_have_left() -> None:
    """So may who was never looked at, and whose place the picture does not hold any more."""
    beyond = BOX + np.array([-100, 0, -100, 0], np.float32)
    assert look(drawn(1), beyond) is None
    assert not is_still_there(None, drawn(1), BOX)
    assert not is_still_there(look(drawn(1), BOX), drawn(1), BOX + np.float32(250))
    assert not is_still_there(look(drawn(1), BOX), drawn(1), BOX - np.float32(400))

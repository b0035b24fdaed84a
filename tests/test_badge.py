"""The visible badge."""

import cv2
import numpy as np
import pytest

from mirage_rtc import badge
from mirage_rtc.badge import I420
from models.engines import FaceBox


def _grey(width_px: int, height_px: int) -> I420:
    return np.full((height_px * 3 // 2, width_px), 128, np.uint8)


def _changed(picture: I420) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of what differs from grey, after conversion to BGR."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_I420).astype(int)
    rows, columns = np.nonzero(np.abs(bgr - 130).max(axis=2) > 20)
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


@pytest.mark.parametrize(("width_px", "height_px"), [(512, 512), (908, 512), (256, 384)])
def test_the_badge_is_top_right_and_at_least_five_percent_high(width_px: int, height_px: int) -> None:
    """On any shape of picture the badge lies in the top right corner and is large enough to read."""
    picture = _grey(width_px, height_px)
    badge.stamp(picture)
    left, top, right, bottom = _changed(picture)

    assert left > width_px / 2
    assert bottom < height_px / 4
    assert bottom - top + 1 >= 0.05 * min(width_px, height_px)
    assert right < width_px


def test_the_badge_moves_off_a_face() -> None:
    """A face in the top right corner sends the badge to the left."""
    picture = _grey(512, 512)
    face = FaceBox(x_px=380, y_px=0, width_px=132, height_px=150, score=0.9, swapped=True)
    badge.stamp(picture, (face,))

    assert _changed(picture)[2] < 256


def test_colour_outside_the_badge_stays() -> None:
    """Only the badge's rectangle changes, in luma and in chroma."""
    picture = _grey(512, 512)
    badge.stamp(picture)
    bgr = cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_I420)

    assert len(np.unique(bgr[200:].reshape(-1, 3), axis=0)) == 1

"""Plane geometry of face finding."""

import numpy as np
import pytest

from models.geometry import (
    Floats,
    Roi,
    anchor_centres,
    area,
    bounds,
    coincides,
    continues,
    distance,
    grown,
    inside_share,
    iou,
    overlap,
    weighted_nms,
)


def box(*edges: float) -> Floats:
    """A box from its four edges."""
    return np.array(edges, np.float32)


@pytest.mark.parametrize("angle_rad", [0.0, 0.4, -2.0, np.pi])
def test_a_region_maps_to_its_crop_and_back(angle_rad: float) -> None:
    """The centre lands in the middle, a quarter turn is clockwise, and the inverse undoes the map."""
    roi = Roi(x_px=100, y_px=60, size_px=50, angle_rad=angle_rad)
    there, back = roi.to_crop(192), roi.from_crop(192)
    np.testing.assert_allclose(there[:, :2] @ [100, 60] + there[:, 2], [96, 96], atol=1e-3)
    along = np.array([100 + 25 * np.cos(angle_rad), 60 + 25 * np.sin(angle_rad)])
    np.testing.assert_allclose(there[:, :2] @ along + there[:, 2], [192, 96], atol=1e-3)
    np.testing.assert_allclose(back[:, :2] @ [192, 96] + back[:, 2], along, atol=1e-3)


def test_anchors_are_cell_centres_row_by_row() -> None:
    """Row-major order is what the network's output has."""
    centres = anchor_centres(192, 4)
    assert centres.shape == (2304, 2)
    np.testing.assert_allclose(centres[[0, 1, 48]], np.array([[0.5, 0.5], [1.5, 0.5], [0.5, 1.5]]) / 48)


def test_areas_and_overlaps_of_boxes() -> None:
    """Known numbers, a disjoint box and an inverted one."""
    boxes = np.stack([box(0, 0, 4, 4), box(2, 2, 6, 6), box(9, 9, 12, 12), box(5, 5, 1, 1)])
    np.testing.assert_allclose(area(boxes), [16, 16, 9, 0])
    np.testing.assert_allclose(overlap(boxes[0], boxes), [16, 4, 0, 0])
    np.testing.assert_allclose(iou(boxes[0], boxes), [1, 4 / 28, 0, 0])
    np.testing.assert_allclose(distance(boxes[0], boxes[1:3]), [np.hypot(2, 2) / 4, np.hypot(8.5, 8.5) / 4], rtol=1e-5)
    np.testing.assert_allclose(grown(boxes[0], 0.25), [-1, -1, 5, 5])
    np.testing.assert_allclose(bounds(np.array([[3, 1, 9], [2, 5, -9]], np.float32)), [2, 1, 3, 5])


def test_share_of_a_box_inside_the_picture() -> None:
    """A quarter in a corner, none outside."""
    assert inside_share(box(-5, -5, 5, 5), 100, 50) == pytest.approx(0.25)
    assert inside_share(box(200, 0, 210, 10), 100, 50) == 0.0


def test_weighted_suppression_averages_what_overlaps_and_keeps_what_does_not() -> None:
    """Two boxes of one face merge by score; the points that come with them are averaged alike."""
    rows = np.array([[0, 0, 10, 10, 1], [2, 0, 12, 10, 3], [50, 50, 60, 60, 7]], np.float32)
    merged = weighted_nms(rows, np.array([0.9, 0.3, 0.6], np.float32), min_iou=0.3)
    assert [score for _, score in merged] == pytest.approx([0.9, 0.6])
    np.testing.assert_allclose(merged[0][0], [0.5, 0, 10.5, 10, 1.5], rtol=1e-5)
    np.testing.assert_allclose(merged[1][0], rows[2])


def test_a_degenerate_box_does_not_hang_the_suppression() -> None:
    """A box without area overlaps nothing, not even itself."""
    assert len(weighted_nms(np.zeros((3, 4), np.float32), np.ones(3, np.float32), min_iou=0.3)) == 3


def test_a_face_moves_only_so_far_between_two_frames() -> None:
    """A third of its side is a quick head; its whole side, or twice the size, is another face."""
    face = box(0, 0, 90, 90)
    assert continues(face, face + 30)
    assert not continues(face, face + 90)
    assert not continues(face, face * 2)
    assert not continues(face, box(45, 45, 45, 45))


def test_boxes_on_one_face_coincide() -> None:
    """Half overlap or containment is one face; neighbours are two."""
    face = box(0, 0, 90, 90)
    assert coincides(face, face + 10)
    assert coincides(face, box(30, 30, 60, 60))
    assert not coincides(face, face + 60)

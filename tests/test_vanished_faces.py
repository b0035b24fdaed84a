"""Faces that were here a moment ago."""

import numpy as np
import pytest

from models.geometry import Floats
from models.vanished_faces import VanishedFace, VanishedFaces


def box(x_px: float, side_px: float = 100.0) -> Floats:
    """A square box with its left edge at `x_px`."""
    return np.array([x_px, 0, x_px + side_px, side_px], np.float32)


def gone(*faces: VanishedFace) -> VanishedFaces:
    """Some vanished faces."""
    vanished = VanishedFaces()
    for face in faces:
        vanished.remember(face)
    return vanished


def test_a_place_is_blurred_for_a_second_and_widens() -> None:
    """A quarter of the side more at once, then 0.8 sides a second on every side, then nothing."""
    vanished = gone(VanishedFace(box=box(200), time_s=5.0))
    np.testing.assert_allclose(vanished.blurs(5.0, []), [[175, -25, 325, 125]])
    np.testing.assert_allclose(vanished.blurs(5.5, []), [[135, -65, 365, 165]])
    vanished.forget(6.0)
    assert len(vanished.blurs(6.0, [])) == 1
    vanished.forget(6.01)
    assert vanished.blurs(6.01, []) == []


def test_nothing_is_blurred_under_a_face_that_is_swapped() -> None:
    """The swap covers that place; a neighbour's does not."""
    vanished = gone(VanishedFace(box=box(200), time_s=5.0))
    assert vanished.blurs(5.0, [box(210)]) == []
    assert len(vanished.blurs(5.0, [box(280)])) == 1


def test_only_a_wearer_that_is_not_even_detected_is_missed() -> None:
    """A blurred face that vanished is not; a wearer is, from the first frame that does not show it."""
    assert not gone(VanishedFace(box=box(0), time_s=5.0, track_id=3)).missing(5.1)
    wearer = gone(VanishedFace(box=box(0), time_s=5.0, track_id=3, chosen=True))
    assert wearer.missing(5.1)
    assert not wearer.missing(5.0)
    assert wearer.reserved == 1


def test_a_detection_claims_the_wearer_before_others_and_the_lost_before_strays() -> None:
    """Each is claimed once; what is too far away is not."""
    stray, lost = VanishedFace(box=box(0), time_s=5.0), VanishedFace(box=box(20), time_s=5.0, track_id=1)
    wearer = VanishedFace(box=box(40), time_s=5.0, track_id=2, chosen=True)
    vanished = gone(stray, lost, wearer)
    assert vanished.any_lost
    assert vanished.claim(box(400), 5.0) is None
    assert [vanished.claim(box(0), 5.0) for _ in range(4)] == [wearer, lost, stray, None]
    assert not vanished.any_lost


@pytest.mark.parametrize(("apart_px", "claimed"), [(99, True), (101, False)])
def test_a_wearer_is_claimed_only_near_where_they_were(apart_px: int, claimed: bool) -> None:
    """However long ago: two heads cannot be nearer than a side, and who is farther off may be somebody else."""
    wearer = VanishedFace(box=box(0), time_s=5.0, track_id=2, chosen=True)
    assert (gone(wearer).claim(box(apart_px), 5.9) is wearer) == claimed
    stray = VanishedFace(box=box(150), time_s=5.8)
    assert gone(wearer, stray).claim(box(150), 5.9) is stray


@pytest.mark.parametrize(("away_s", "reach_px"), [(0.0, 99), (0.2, 199), (0.8, 499)])
def test_a_face_can_be_found_farther_off_the_longer_it_was_away(away_s: float, reach_px: float) -> None:
    """One side at once, five sides a second more."""
    assert gone(VanishedFace(box=box(0), time_s=5.0)).claim(box(reach_px), 5.0 + away_s) is not None
    assert gone(VanishedFace(box=box(0), time_s=5.0)).claim(box(reach_px + 2), 5.0 + away_s) is None


def test_a_face_seen_at_the_place_explains_it() -> None:
    """The one that is seen again is forgotten, the other stays."""
    vanished = gone(VanishedFace(box=box(0), time_s=5.0), VanishedFace(box=box(300), time_s=5.0))
    vanished.explain([box(310)])
    np.testing.assert_array_equal(vanished.boxes, [box(0)])


def test_places_follow_a_change_of_picture_size() -> None:
    """Half as wide, twice as high."""
    vanished = gone(VanishedFace(box=box(100), time_s=5.0))
    vanished.rescale(0.5, 2.0)
    np.testing.assert_array_equal(vanished.boxes, [[50, 0, 100, 200]])

"""Blinks reach the worn face."""

import numpy as np

from models import eyelids, face_mesh
from tests.test_face_mesh import turned


def blinking(share: float) -> face_mesh.Points:
    """The canonical face with its upper lids lowered by a share of the gap."""
    points = turned(0.0)
    points[eyelids.UPPER] += (points[eyelids.LOWER] - points[eyelids.UPPER]) * np.float32(share)
    return points


def gap(points: face_mesh.Points) -> float:
    """Distance of the lids of the left eye, px."""
    return float(np.linalg.norm(points[159] - points[145]))


def test_a_third_of_a_blink_in_the_landmarks_shuts_the_worn_eye() -> None:
    """The network moves the lids by a third when an eye is shut; the identity's must meet."""
    lids = eyelids.Eyelids()
    wide = gap(lids.follow(turned(0.0), blinking(0.0), 0.04))
    shut = gap(lids.follow(turned(0.0), blinking(0.34), 0.04))
    again = gap(lids.follow(turned(0.0), blinking(0.0), 0.04))
    assert shut < 0.15 * wide
    assert again == wide


def test_small_movements_do_not_make_the_lids_flutter() -> None:
    """Noise of a few percent leaves the eye as it is."""
    lids = eyelids.Eyelids()
    wide = gap(lids.follow(turned(0.0), blinking(0.0), 0.04))
    assert gap(lids.follow(turned(0.0), blinking(0.06), 0.04)) == wide


def test_only_upper_lids_move() -> None:
    """A blink is a movement of the upper lid; nothing else of the face shifts."""
    lids = eyelids.Eyelids()
    lids.follow(turned(0.0), blinking(0.0), 0.04)
    moved = np.abs(lids.follow(turned(0.0), blinking(0.34), 0.04) - turned(0.0)).max(1) > 1e-4
    assert set(np.flatnonzero(moved).tolist()) == set(eyelids.UPPER.ravel().tolist())

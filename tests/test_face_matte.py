"""Mattes: what stays covered, when the mouth opens, and what a hand in front does."""

import numpy as np
import pytest

from models import face_matte, face_mesh
from models.engines import Frame
from models.mask_art import thumbnail
from models.mask_canvas import APRON_REACH
from tests.test_mesh_warp import laid_out

SIZE_PX = 256


def masked_head() -> tuple[Frame, face_mesh.Points]:
    """A drawn face and where its vertices lie, as `mask_art.thumbnail` places them."""
    points = face_mesh.with_apron(face_mesh.CANONICAL, APRON_REACH)
    middle = (points.min(0) + points.max(0)) / 2
    scale = np.float32(SIZE_PX / (np.ptp(points[:, 1]) * 1.12))
    return thumbnail("carved", SIZE_PX), (face_mesh.CANONICAL - middle) * scale + np.float32(SIZE_PX / 2)


def test_the_inside_of_the_face_is_always_covered() -> None:
    """However unlike skin the pixels look (a beard, glasses), from the second ring on nothing is opened."""
    core = face_matte.core_weight()
    assert (core[: face_mesh.FACE_POINTS][face_mesh.RINGS >= 1] == 1).all()
    assert (face_matte.rim_coverage()[: face_mesh.FACE_POINTS] >= 1).all()
    assert (face_matte.rim_coverage()[face_mesh.FACE_POINTS :] == 0).all()


def test_hair_does_not_look_like_skin() -> None:
    """Dark pixels at the rim are told from the skin that the middle shows."""
    wearer = np.full((60, 50, 3), (120, 150, 190), np.uint8)
    wearer[:12] = (20, 25, 30)
    counted = np.zeros((60, 50), np.float32)
    counted[20:] = 1
    likeness = face_matte.skin_likeness(wearer, counted)
    assert likeness[:10].max() == 0
    assert likeness[20:].min() == 1


@pytest.mark.parametrize(("gap_px", "shown"), [(0.0, False), (12.0, True)])
def test_the_own_mouth_shows_only_when_it_is_open(gap_px: float, shown: bool) -> None:
    """Closed lips are wholly the identity's; parted ones show the wearer's own teeth and tongue."""
    grid = laid_out(0.0)
    landmarks = face_mesh.CANONICAL * np.float32(10) + np.float32(200)
    landmarks[14, 1] = landmarks[13, 1] + np.float32(gap_px)
    matte = face_matte.own_features(grid, landmarks, eyes=0.0, mouth=1.0)
    assert (matte.max() > 0.3) == shown


def test_own_eyes_stay_within_the_lids() -> None:
    """A mask's eye openings are a small part of the face: not enough to be known by."""
    grid = laid_out(0.0)
    landmarks = face_mesh.CANONICAL * np.float32(10) + np.float32(200)
    matte = face_matte.own_features(grid, landmarks, eyes=1.0, mouth=0.0)
    assert matte.max() > 0.6
    assert (matte > 0.05).mean() < 0.06


def test_a_still_face_is_not_covered_and_a_hand_is_seen() -> None:
    """A patch of another colour over mouth and chin marks the vertices under it and few others."""
    head, landmarks = masked_head()
    guard = face_matte.OcclusionGuard()
    for _ in range(5):
        calm = guard.look(head, landmarks, 0.04)
    assert calm.share < 0.01
    covered = head.copy()
    chin, nose = landmarks[152, 1], landmarks[2, 1]
    covered[int(nose) : int(chin)] = (160, 190, 225)
    occlusion = guard.look(covered, landmarks, 0.04)
    below = landmarks[:, 1] > nose + 12
    above = landmarks[:, 1] < nose - 24
    judged = face_mesh.RINGS >= 3
    assert occlusion.vertices[: face_mesh.FACE_POINTS][below & judged].mean() > 0.7
    assert occlusion.vertices[: face_mesh.FACE_POINTS][above & judged].mean() < 0.2


def test_exposure_is_not_an_occluder() -> None:
    """The camera brightening the whole picture must not frost the face."""
    head, landmarks = masked_head()
    guard = face_matte.OcclusionGuard()
    guard.look(head, landmarks, 0.04)
    brighter = np.clip(head.astype(int) + 14, 0, 255).astype(np.uint8)
    assert guard.look(brighter, landmarks, 0.04).share < 0.05


def test_what_stays_in_front_becomes_the_face_again() -> None:
    """A wearer who shaved, or a light that changed, is learned within two minutes rather than frosted for ever."""
    head, landmarks = masked_head()
    guard = face_matte.OcclusionGuard()
    guard.look(head, landmarks, 0.04)
    changed = head.copy()
    changed[int(landmarks[2, 1]) : int(landmarks[152, 1])] = (160, 190, 225)
    first = guard.look(changed, landmarks, 0.04)
    for _ in range(120 * 10):
        last = guard.look(changed, landmarks, 0.1)
    assert first.share > 0.2
    assert last.share < 0.02

"""Dressing one face: what is drawn, what is refused, and what never shows."""

import cv2
import numpy as np
from numpy.typing import NDArray

from models import face_mesh, mask_art
from models.engines import Frame
from models.face_dresser import FaceDresser
from models.portrait import make_portrait
from tests.test_face_matte import masked_head
from tests.test_face_mesh import turned
from tests.test_portrait import pale_head


def ignore(stage: str) -> None:
    """Stage times are not looked at here."""


def head(size_px: int = 400) -> tuple[Frame, face_mesh.Points]:
    """A drawn face as a camera frame, with its landmarks."""
    picture, landmarks = masked_head()
    scale = size_px / picture.shape[0]
    return np.asarray(cv2.resize(picture, (size_px, size_px)), np.uint8), landmarks * np.float32(scale)


def oval_mask(landmarks: face_mesh.Points, shape: tuple[int, ...], scale: float) -> NDArray[np.bool_]:
    """Pixels inside the face oval, scaled about its middle."""
    oval = landmarks[face_mesh.OVAL, :2]
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [(oval.mean(0) + (oval - oval.mean(0)) * scale).astype(np.int32)], (1,))
    return mask > 0


def test_a_portrait_covers_the_inside_of_the_face_and_nothing_far_outside() -> None:
    """Nearly every pixel within the oval changes; beyond the apron not one does."""
    frame, landmarks = head()
    before = frame.copy()
    worn = make_portrait(*pale_head((20, 25, 30)))
    assert FaceDresser(worn).dress(frame, landmarks, 0.0, ignore)
    changed = np.abs(frame.astype(int) - before.astype(int)).max(2) > 3
    assert changed[oval_mask(landmarks, frame.shape, 0.85)].mean() > 0.93
    assert not changed[~oval_mask(landmarks, frame.shape, 1.75)].any()


def test_a_mask_replaces_every_brow_and_lip_pixel() -> None:
    """Under an opaque mask the picture of brows and lips no longer depends on the wearer's."""
    frame, landmarks = head()
    other = np.random.default_rng(0).integers(0, 255, frame.shape, dtype=np.uint8)
    frame_b = cv2.addWeighted(frame, 0.5, other, 0.5, 0).astype(np.uint8)
    for picture in (frame, frame_b):
        assert FaceDresser(mask_art.worn("facets")).dress(picture, landmarks, 0.0, ignore)
    for group in (face_mesh.LEFT_BROW, face_mesh.RIGHT_BROW, face_mesh.OUTER_LIPS[:10]):
        for x, y in landmarks[group, :2].astype(int):
            assert np.abs(frame[y, x].astype(int) - frame_b[y, x].astype(int)).max() < 40


def test_what_cannot_be_worn_leaves_the_frame_alone() -> None:
    """Too small, seen from the side, not a number, outside: False and no pixel touched, so that the caller blurs."""
    frame, landmarks = head()
    before = frame.copy()
    broken = landmarks.copy()
    broken[7] = np.nan
    far = landmarks + np.float32(2000)
    for points in (landmarks * np.float32(0.05), turned(80.0, scale=14.0), broken, far):
        assert not FaceDresser(mask_art.worn("porcelain")).dress(frame, points, 0.0, ignore)
        assert np.array_equal(frame, before)


def test_a_face_half_out_of_the_picture_is_dressed() -> None:
    """Leaning out of the frame must not show the half that is left."""
    frame, landmarks = head()
    before = frame.copy()
    landmarks = landmarks - np.array([190, 0, 0], np.float32)
    assert FaceDresser(mask_art.worn("porcelain")).dress(frame, landmarks, 0.0, ignore)
    inside = oval_mask(landmarks, frame.shape, 0.85)
    changed = np.abs(frame.astype(int) - before.astype(int)).max(2) > 3
    assert changed[inside].mean() > 0.9


def test_a_hand_in_front_is_blurred_not_shown() -> None:
    """Where something covers the face neither its raw pixels nor the identity's are seen, but a blur of it."""
    frame, landmarks = head()
    dresser = FaceDresser(make_portrait(*pale_head((20, 25, 30))))
    for index in range(5):
        dresser.dress(frame.copy(), landmarks, index * 0.04, ignore)
    covered = frame.copy()
    nose, chin = int(landmarks[2, 1]), int(landmarks[152, 1])
    stripes = np.where((np.arange(400) // 4 % 2)[None, :, None] > 0, np.uint8(235), np.uint8(120))
    covered[nose:chin] = stripes
    out = covered.copy()
    assert dresser.dress(out, landmarks, 0.2, ignore)
    x, y = landmarks[200, :2].astype(int)
    patch = (slice(y - 8, y + 8), slice(x - 12, x + 12))
    assert covered[patch].std() > 50
    assert out[patch].std() < 20


def test_dressing_is_repeatable() -> None:
    """The same frames at the same times give the same picture."""
    results = []
    for _ in range(2):
        frame, landmarks = head()
        dresser = FaceDresser(mask_art.worn("contour"))
        for index in range(3):
            out = frame.copy()
            dresser.dress(out, landmarks + np.float32(index), index * 0.04, ignore)
        results.append(out)
    assert np.array_equal(results[0], results[1])

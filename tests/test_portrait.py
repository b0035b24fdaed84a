"""Portraits: what is refused, what becomes skin, and how a face turned away is completed."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models import face_mesh, portrait
from models.engines import Frame, PortraitError
from tests.test_face_matte import masked_head
from tests.test_face_mesh import turned


def pale_head(hair: tuple[int, int, int]) -> tuple[Frame, face_mesh.Points]:
    """A flat skin-coloured face with dark eyes, brows and red lips; hair of the given colour from the brows up."""
    landmarks = turned(0.0, scale=14.0)
    picture = np.full((400, 400, 3), hair, np.uint8)
    cv2.fillPoly(picture, [landmarks[face_mesh.OVAL, :2].astype(np.int32)], (150, 175, 215))
    picture[: int(landmarks[151, 1])] = hair
    for group in (face_mesh.LEFT_BROW, face_mesh.RIGHT_BROW, face_mesh.LEFT_EYE, face_mesh.RIGHT_EYE):
        cv2.fillConvexPoly(picture, cv2.convexHull(landmarks[group, :2].astype(np.int32)), (30, 35, 45))
    cv2.fillPoly(picture, [landmarks[face_mesh.OUTER_LIPS, :2].astype(np.int32)], (90, 80, 190))
    return cv2.GaussianBlur(picture, (0, 0), 1.2).astype(np.uint8), landmarks


def vertex_is(vertex: int) -> NDArray[np.bool_]:
    """Which corners of which triangles are this vertex."""
    return np.asarray(np.equal(face_mesh.TRIANGLES, vertex))


def texture_at(worn: portrait.WornFace, vertex: int) -> list[int]:
    """The colour of a worn face at a mesh vertex."""
    triangle, corner = np.argwhere(vertex_is(vertex))[0]
    x, y = worn.corners[triangle, corner].astype(int)
    return [int(value) for value in worn.texture[y, x]]


def test_hair_on_the_forehead_becomes_skin() -> None:
    """A fringe must not be worn on someone else's forehead: above the brows there is skin colour, up to the apron."""
    worn = portrait.make_portrait(*pale_head((20, 25, 30)))
    for vertex in (10, 109, 338, face_mesh.FACE_POINTS):
        assert np.abs(np.array(texture_at(worn, vertex)) - (150, 175, 215)).max() < 25


def test_features_stay_as_they_are() -> None:
    """Brows and lips keep their colour: they are what the face is known by."""
    worn = portrait.make_portrait(*pale_head((20, 25, 30)))
    assert min(max(texture_at(worn, vertex)) for vertex in (105, 52, 65, 66)) < 90
    blue, green, red = texture_at(worn, 17)
    assert red - green > 40


def test_a_highlight_is_pressed_down() -> None:
    """A shining nose tip would streak on a wearer in other light."""
    picture, landmarks = pale_head((20, 25, 30))
    shining = picture.copy()
    tip = tuple(int(value) for value in landmarks[4, :2])
    cv2.circle(shining, tip, 9, (205, 220, 235), -1)
    shining = cv2.GaussianBlur(shining, (0, 0), 2).astype(np.uint8)
    plain, tamed = portrait.make_portrait(picture, landmarks), portrait.make_portrait(shining, landmarks)
    raw_excess = int(shining[tip[1], tip[0]].max()) - int(picture[tip[1], tip[0]].max())
    assert max(texture_at(tamed, 4)) - max(texture_at(plain, 4)) < 0.75 * raw_excess


def test_the_hidden_half_of_a_turned_face_is_the_visible_one_mirrored() -> None:
    """Of a face turned by 40 degrees every triangle is taken from the half that the camera saw."""
    picture, _ = masked_head()
    big = np.asarray(cv2.resize(picture, (400, 400)), np.uint8)
    worn = portrait.make_portrait(big, turned(40.0, scale=14.0))
    across = face_mesh.CANONICAL[:, 0][face_mesh.FACE_TRIANGLES].mean(1)
    middle_x = float(np.median(worn.corners[: len(across)][np.abs(across) < 0.3][..., 0]))
    centres = worn.corners[: len(across)][..., 0].mean(1)
    left, right = centres[across < -3] - middle_x, centres[across > 3] - middle_x
    assert np.sign(np.median(left)) == np.sign(np.median(right))


@pytest.mark.parametrize(
    ("scale", "yaw_deg", "code"), [(3.0, 0.0, "portrait_face_too_small"), (14.0, 75.0, "portrait_no_face")]
)
def test_an_unusable_face_is_refused_with_advice(scale: float, yaw_deg: float, code: str) -> None:
    """Too small or seen from the side: a code for the page and a sentence that says what to do."""
    picture, _ = pale_head((20, 25, 30))
    with pytest.raises(PortraitError) as refused:
        portrait.make_portrait(picture, turned(yaw_deg, scale=scale))
    assert refused.value.code == code
    assert "Use a picture" in refused.value.sentence


def test_a_large_portrait_is_shrunk_without_aliasing() -> None:
    """A face far larger than the texture comes out like the same face at a fitting size."""
    picture, landmarks = pale_head((20, 25, 30))
    grain = np.random.default_rng(1).normal(0, 40, (1600, 1600, 1))
    large = np.asarray(cv2.resize(picture, (1600, 1600)), np.float32) + grain
    scaled = np.asarray(landmarks * np.float32(4), np.float32)
    worn = portrait.make_portrait(np.clip(large, 0, 255).astype(np.uint8), scaled)
    triangle, corner = np.argwhere(vertex_is(50))[0]
    x, y = worn.corners[triangle, corner].astype(int)
    assert np.abs(np.array(texture_at(worn, 50)) - (150, 175, 215)).max() < 30
    assert worn.texture[y - 8 : y + 8, x - 8 : x + 8].std((0, 1)).max() < 20

"""The face detector on real photographs and clips."""

from functools import cache

import cv2
import numpy as np
import pytest
from skimage import data

from models.catalog import FACE_DETECTOR
from models.engines import Frame
from models.face_detector import FaceDetector
from models.geometry import Floats
from models.runtime import LiteRTNetwork
from tests.media import second_person_walks_in, talking_head
from tests.model_store import model_store


@cache
def detector() -> FaceDetector:
    """The detector with Google's network."""
    return FaceDetector(LiteRTNetwork(model_store().path(FACE_DETECTOR)))


def photograph(name: str) -> Frame:
    """One of the pictures that scikit-image ships, as a BGR frame."""
    picture = np.atleast_3d(np.asarray(getattr(data, name)(), np.uint8))
    return np.ascontiguousarray(np.broadcast_to(picture[..., ::-1], (*picture.shape[:2], 3)))


def astronaut() -> Frame:
    """A portrait of 512 x 512, face about 100 pixels wide between x 171 and 277, y 67 and 172."""
    return photograph("astronaut")


def warped(frame: Frame, matrix: Floats) -> Frame:
    """The frame under an affine map (2, 3), 512 x 512, its edge repeated."""
    return np.asarray(cv2.warpAffine(frame, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def test_finds_the_face_with_its_points_in_frame_pixels() -> None:
    """One face; eyes level and left before right, nose and mouth below them, ears outside."""
    (face,) = detector().detect(astronaut())
    assert face.score > 0.8
    np.testing.assert_allclose(face.box, [171, 67, 277, 172], atol=8)
    left_eye, right_eye, nose, mouth, left_ear, right_ear = face.keypoints
    assert left_ear[0] < left_eye[0] < nose[0] < right_eye[0] < right_ear[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < mouth[1] < face.box[3]
    np.testing.assert_allclose(left_eye, [204, 101], atol=5)
    np.testing.assert_allclose(right_eye, [247, 104], atol=5)


@pytest.mark.parametrize(("width_px", "height_px"), [(512, 384), (384, 512), (512, 200), (199, 301)])
def test_letterboxing_keeps_places_in_any_shape_of_picture(width_px: int, height_px: int) -> None:
    """Cropped around the face to other aspect ratios, the box moves by the crop's corner only."""
    x, y = max(0, 224 - width_px // 2), max(0, 120 - height_px // 2)
    (face,) = detector().detect(np.ascontiguousarray(astronaut()[y : y + height_px, x : x + width_px]))
    np.testing.assert_allclose(face.box + [x, y, x, y], [171, 67, 277, 172], atol=16)


@pytest.mark.parametrize("face_px", [32, 60, 200, 400])
def test_finds_small_and_large_faces(face_px: int) -> None:
    """From a face of 32 pixels in 512 to one that fills most of the picture."""
    scale = face_px / 106
    zoom = np.array([[scale, 0, 256 - scale * 224], [0, scale, 256 - scale * 120]], np.float32)
    (best, *_) = detector().detect(warped(astronaut(), zoom))
    assert best.score > 0.5
    assert best.box[2] - best.box[0] == pytest.approx(face_px, rel=0.25)


def test_counts_people_in_clips() -> None:
    """One box in every fifth frame of a talking head, two where a second person has come in."""
    assert {len(detector().detect(frame)) for frame in talking_head().frames[:75:5]} == {1}
    clip = second_person_walks_in()
    assert {len(detector().detect(frame)) for frame in clip.frames[45::5]} == {2}


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket", "brick", "text"])
def test_no_confident_face_where_there_is_none(name: str) -> None:
    """Crockery, a cat, a rocket and textures stay below the score at which landmarks are tried."""
    assert all(face.score < 0.5 for face in detector().detect(photograph(name)))


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_an_empty_picture_has_no_face(grey: int) -> None:
    """Flat frames of any size, down to one pixel."""
    assert detector().detect(np.full((90, 160, 3), grey, np.uint8)) == []
    assert detector().detect(np.full((1, 1, 3), grey, np.uint8)) == []

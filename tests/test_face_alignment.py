"""The way to a face's crop, and the faces that get none because their place is in doubt."""

import numpy as np
import pytest

from models import face_alignment, inswapper
from models.carried_faces import CarriedFace

BOX = np.array([100, 100, 200, 240], np.float32)
FRONT = np.asarray((inswapper.TEMPLATE_PX - [64, 72]) * 1.1 + [150, 175], np.float32)
FRAME = np.zeros((288, 360, 3), np.uint8)


def way(**change: object) -> object:
    """The alignment of a face that is good but for the change."""
    given = {"track_id": 1, "points": FRONT, "box": BOX, "confidence": 0.9, "stable": True} | change
    face = CarriedFace(**given)  # type: ignore[arg-type]
    return face_alignment.alignment(face, FRAME, inswapper.TEMPLATE_PX, inswapper.SIZE_PX)


def test_the_points_land_on_the_template() -> None:
    """By the least squares turn."""
    to_crop = np.asarray(way())
    np.testing.assert_allclose(FRONT @ to_crop[:, :2].T + to_crop[:, 2], inswapper.TEMPLATE_PX, atol=0.01)


@pytest.mark.parametrize(
    "change",
    [
        {"confidence": 0.39},
        {"points": np.full((5, 2), np.nan, np.float32)},
        {"points": np.full((5, 2), 150, np.float32)},
        {"points": FRONT[[4, 2, 0, 1, 3]]},
        {"box": np.array([100, 100, 120, 122], np.float32)},
        {"box": BOX - np.array([160, 0, 160, 0], np.float32)},
        {"box": np.array([100, np.inf, 200, 240], np.float32)},
    ],
    ids=["unsure", "nan", "coincide", "scrambled", "small", "outside", "infinite"],
)
def test_a_face_in_doubt_has_no_way(change: dict[str, object]) -> None:
    """So that it is blurred."""
    assert way(**change) is None


def test_a_nose_in_the_middle_and_one_beside_it() -> None:
    """In distances between the eyes, to either side, whatever the head's tilt."""
    eyes = np.array([[0, 0], [40, 0], [20, 25], [5, 50], [35, 50]], np.float32)
    assert face_alignment.nose_offset(eyes) == pytest.approx(0)
    for shift_px in (-20, 20):
        turned = eyes + np.array([[0, 0], [0, 0], [shift_px, 0], [0, 0], [0, 0]], np.float32)
        assert face_alignment.nose_offset(turned) == pytest.approx(0.5)
        assert face_alignment.nose_offset(turned[:, ::-1]) == pytest.approx(0.5)

"""The embedded face engine as its lane drives it: identities, several faces, and failing closed."""

import functools

import cv2
import numpy as np
import pytest

from models import mask_art
from models.engines import Frame, IdentitySource, PortraitError
from models.mesh_face_engine import MeshFaceEngine
from models.portrait import WornFace
from tests import media
from tests.model_store import model_store


@functools.cache
def engine() -> MeshFaceEngine:
    return MeshFaceEngine(str(model_store().root))


def mask(name: str = "porcelain") -> WornFace:
    return engine().prepare(IdentitySource(kind="mask", name=name))


def portrait(picture: Frame) -> WornFace:
    return engine().prepare(IdentitySource(kind="portrait", name="p", portrait=picture))


def detail(picture: Frame, box: media.Box) -> float:
    """How much fine structure is left in a box."""
    x0, y0, x1, y1 = (round(value) for value in box)
    grey = cv2.cvtColor(picture[y0:y1, x0:x1], cv2.COLOR_BGR2GRAY).astype(np.float32)
    return float((grey - cv2.GaussianBlur(grey, (0, 0), 3)).std())


def test_every_face_is_blurred_until_something_is_worn() -> None:
    """Nothing worn, at the start or by `wear(None)`, means no swapped face and no detail in it."""
    clip = media.talking_head()
    wearer = engine().open(max_faces=1)
    swap = wearer.swap(clip.frames[0].copy(), 0.0)
    assert [face.swapped for face in swap.faces] == [False]
    assert detail(swap.frame, clip.faces[0][0]) < 0.25 * detail(clip.frames[0], clip.faces[0][0])
    wearer.wear(mask())
    assert wearer.swap(clip.frames[1].copy(), 0.04).swapped == 1
    wearer.wear(None)
    swap = wearer.swap(clip.frames[2].copy(), 0.08)
    assert swap.swapped == 0
    assert detail(swap.frame, clip.faces[2][0]) < 0.25 * detail(clip.frames[2], clip.faces[2][0])


def test_a_talking_head_is_swapped_on_every_frame() -> None:
    """From the first frame on, with the stages' CPU times and a box where the face is."""
    clip = media.talking_head()
    wearer = engine().open(max_faces=1)
    wearer.wear(mask())
    for index in range(25):
        swap = wearer.swap(clip.frames[index].copy(), index / clip.fps)
        assert swap.swapped == 1
    assert {"track", "warp", "colour", "matte", "blend"} <= set(swap.stage_ms)
    face, (x0, y0, x1, y1) = swap.faces[0], clip.faces[24][0]
    assert abs(face.x_px + face.width_px / 2 - (x0 + x1) / 2) < 0.3 * (x1 - x0)
    assert abs(face.y_px + face.height_px / 2 - (y0 + y1) / 2) < 0.3 * (y1 - y0)


def test_two_faces_may_wear_the_same_identity_and_the_third_party_is_blurred() -> None:
    """With room for two both are swapped; with room for one the other is blurred, never left."""
    clip = media.second_person_walks_in()
    for max_faces in (1, 2):
        wearer = engine().open(max_faces=max_faces)
        wearer.wear(mask())
        for index in range(0, 60):
            swap = wearer.swap(clip.frames[index].copy(), index / clip.fps)
        assert swap.swapped == max_faces
        assert len(swap.faces) >= 2
        for box in clip.faces[59]:
            assert not np.array_equal(_cut(swap.frame, box), _cut(clip.frames[59], box))


def test_a_frame_without_a_face_has_none_swapped() -> None:
    """An empty room is returned without a claim that anything was swapped."""
    wearer = engine().open(max_faces=1)
    wearer.wear(mask())
    assert wearer.swap(np.full((240, 320, 3), 90, np.uint8), 0.0).swapped == 0


def test_a_face_that_vanished_is_not_trusted_to_be_gone() -> None:
    """When the room is suddenly empty the first frames are blurred whole: the face might be anywhere in them."""
    clip = media.talking_head()
    wearer = engine().open(max_faces=1)
    wearer.wear(mask())
    for index in range(5):
        assert wearer.swap(clip.frames[index].copy(), index / clip.fps).swapped == 1
    room = np.random.default_rng(0).integers(60, 120, clip.frames[0].shape, dtype=np.uint8)
    whole = (0.0, 0.0, float(room.shape[1]), float(room.shape[0]))
    swap = wearer.swap(room.copy(), 5 / clip.fps)
    assert swap.swapped == 0
    assert detail(swap.frame, whole) < 0.2 * detail(room, whole)


def test_calls_do_not_share_state() -> None:
    """Two calls through one engine give what each would give alone."""
    clip = media.talking_head()
    alone, together, beside = (engine().open(max_faces=1) for _ in range(3))
    for wearer, name in ((alone, "facets"), (together, "facets"), (beside, "visor")):
        wearer.wear(mask(name))
    for index in range(6):
        one = alone.swap(clip.frames[index].copy(), index * 0.04).frame
        beside.swap(clip.frames[60 - index].copy(), index * 0.04)
        assert np.array_equal(one, together.swap(clip.frames[index].copy(), index * 0.04).frame)


def test_a_portrait_is_worn() -> None:
    """A still of a person becomes an identity and changes the face of another frame."""
    identity = portrait(media.still("woman_a"))
    clip = media.talking_head("man_a")
    wearer = engine().open(max_faces=1)
    wearer.wear(identity)
    for index in range(3):
        swap = wearer.swap(clip.frames[index].copy(), index * 0.04)
        assert swap.swapped == 1
        box = clip.faces[index][0]
        assert np.abs(_cut(swap.frame, box).astype(int) - _cut(clip.frames[index], box)).mean() > 4


@pytest.mark.parametrize("code", ["portrait_no_face", "portrait_several_faces", "portrait_face_too_small"])
def test_a_portrait_that_cannot_be_worn_is_refused(code: str) -> None:
    """No face, two faces, a tiny face: each its code and a sentence that says what to do."""
    still = media.still("man_a")
    pictures = {
        "portrait_no_face": np.full((300, 300, 3), 128, np.uint8),
        "portrait_several_faces": np.concatenate([still, still[:, ::-1]], 1),
        "portrait_face_too_small": np.asarray(cv2.resize(still, (150, 150)), np.uint8),
    }
    with pytest.raises(PortraitError) as refused:
        portrait(np.ascontiguousarray(pictures[code]))
    assert refused.value.code == code
    assert refused.value.sentence.count(".") >= 2


def test_an_identity_of_another_engine_is_refused() -> None:
    """A programming error, said at once and not at the next frame."""
    with pytest.raises(TypeError):
        engine().open(max_faces=1).wear("porcelain")


def test_masks_are_prepared_once() -> None:
    """Identities are shared by calls."""
    assert mask() is mask()
    assert mask_art.MASKS[0].name == "porcelain"


def _cut(picture: Frame, box: media.Box) -> Frame:
    x0, y0, x1, y1 = (round(value) for value in box)
    return picture[y0:y1, x0:x1]


def test_of_several_portraits_the_largest_frontal_one_is_worn() -> None:
    """Wherever it stands among them; one that is unusable is refused although it would not be worn."""
    large = media.still("man_a")
    small = np.asarray(cv2.resize(large, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA), np.uint8)
    tiny = np.asarray(cv2.resize(large, None, fx=0.15, fy=0.15, interpolation=cv2.INTER_AREA), np.uint8)
    alone = portrait(large)
    for first, *more in ((large, small), (small, large)):
        worn = engine().prepare(IdentitySource(kind="portrait", name="p", portrait=first, more=tuple(more)))
        np.testing.assert_array_equal(worn.texture, alone.texture)
    with pytest.raises(PortraitError):
        engine().prepare(IdentitySource(kind="portrait", name="p", portrait=large, more=(tiny,)))

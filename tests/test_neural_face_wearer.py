"""The two halves of a frame, apart: what has no answer of its own is blurred, whoever asked."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from models import face_templates, neural_paste
from models.carried_faces import CarriedFaces
from models.engines import Frame, IdentitySource
from models.face_casting import Bare, Part
from models.neural_face_wearer import MIN_CHANGE, NeuralFaceWearer
from models.swapper import SwappedCrop
from tests.asset_frames import picture, with_golden
from tests.neural_parts import small_engine

pytestmark = with_golden
RAW = "grid_bbaf2n.mpg@5"


def begun() -> tuple[NeuralFaceWearer, Frame]:
    """A call that wears a mask, and a frame of it."""
    engine = small_engine()
    one = engine.open(max_faces=1)
    one.wear(engine.prepare(IdentitySource(kind="mask", name="porcelain")))
    return one, picture(RAW).copy()


def test_a_face_without_an_answer_is_blurred() -> None:
    """The networks never ran: no raw face is in what comes back."""
    one, frame = begun()
    fitting = one.begin(frame, 0.0)
    assert len(fitting.fitted) == 1
    assert one.finish(fitting).swapped == 0
    x0, y0, x1, y1 = fitting.fitted[0].face.box.astype(int)
    assert np.abs(frame[y0:y1, x0:x1].astype(int) - picture(RAW)[y0:y1, x0:x1]).mean() > 4


def test_an_answer_without_an_edge_is_not_shown() -> None:
    """The masks say that there is hardly a face to be seen: it is blurred, though the swapper answered."""
    one, frame = begun()
    fitting = one.begin(frame, 0.0)
    (face,) = fitting.fitted
    face.answer = SwappedCrop(picture=np.zeros((128, 128, 3), np.uint8))
    assert one.finish(fitting).swapped == 0
    face.alpha = neural_paste.soft_alpha(128)
    frame[:] = picture(RAW)
    assert one.finish(fitting).swapped == 1


@pytest.mark.parametrize(("gain", "shift"), [(1.0, 8), (0.9, 0)], ids=["lighter", "flatter"])
def test_the_raw_face_in_another_tint_is_no_swap(gain: float, shift: int) -> None:
    """The colours of the raw face would take the tint off again: it is blurred, and nobody counts as swapped."""
    one, frame = begun()
    fitting = one.begin(frame, 0.0)
    (face,) = fitting.fitted
    tinted = (face.crop * gain + shift).clip(0, 255).astype(np.uint8)
    face.answer, face.alpha = SwappedCrop(picture=tinted), neural_paste.soft_alpha(128)
    assert np.abs(tinted.astype(int) - face.crop).mean() > MIN_CHANGE
    assert one.finish(fitting).swapped == 0
    x0, y0, x1, y1 = face.face.box.astype(int)
    assert np.abs(frame[y0:y1, x0:x1].astype(int) - picture(RAW)[y0:y1, x0:x1]).mean() > 4


def test_the_swap_takes_the_colours_of_the_face_before_it() -> None:
    """A grey answer is pasted nearer to the skin than to grey."""
    one, frame = begun()
    fitting = one.begin(frame, 0.0)
    (face,) = fitting.fitted
    grey = np.random.default_rng(1).normal(110, 12, (128, 128, 1)).repeat(3, axis=2).clip(0, 255).astype(np.uint8)
    face.answer, face.alpha = SwappedCrop(picture=grey), neural_paste.soft_alpha(128)
    skin = np.asarray(cv2.mean(face.crop[40:90, 40:90])[:3])
    one.finish(fitting)
    pasted = np.asarray(cv2.mean(face_templates.crop(frame, face.to_crop, 128)[40:90, 40:90])[:3])
    assert np.abs((pasted - pasted.mean()) - (skin - skin.mean())).max() < 0.6 * np.abs(skin - skin.mean()).max()


class Parts:
    """A casting that gives the same parts in each frame."""

    def __init__(self, *parts: Part) -> None:
        self._parts = parts

    def cast(self, frame: Frame, seen: CarriedFaces) -> tuple[Part, ...]:
        """As many as there are people."""
        return self._parts[: len(seen.faces) + len(seen.spares)]

    def preferred(self) -> frozenset[int]:
        """Nobody."""
        return frozenset()

    def reset(self) -> None:
        """Nothing is kept."""


@dataclass(frozen=True)
class Worn:
    """What wears such parts."""

    parts: Parts

    def casting(self) -> Parts:
        """The one."""
        return self.parts


@pytest.mark.parametrize("max_faces", [1, 2])
def test_only_who_is_to_be_left_alone_is(max_faces: int) -> None:
    """With or without a place: one face as it was, the other blurred, each reported as what it is."""
    raw = picture("grid_two_people.mp4@5")
    for untouched in (0, 1):
        one, frame = small_engine().open(max_faces=max_faces), raw.copy()
        one.wear(Worn(Parts(*[Bare.UNTOUCHED if at == untouched else None for at in range(2)])))
        swap = one.swap(frame, 0.0)
        assert [face.untouched for face in swap.faces].count(True) == 1
        assert len(swap.faces) == 2
        for face in swap.faces:
            x, y = int(face.x_px + face.width_px / 2), int(face.y_px + face.height_px / 2)
            changed = np.abs(
                frame[y - 30 : y + 30, x - 30 : x + 30].astype(int) - raw[y - 30 : y + 30, x - 30 : x + 30]
            )
            assert (changed.mean() == 0) == face.untouched
        assert not any(face.swapped for face in swap.faces)


def test_a_hole_is_believed_when_two_frames_in_a_row_have_it() -> None:
    """One frame's error of a mask shows nothing of the raw face."""
    one, frame = begun()
    holed = neural_paste.soft_alpha(128).copy()
    holed[70:90, 20:50] = 0
    shown = []
    for alpha in (neural_paste.soft_alpha(128), holed, holed, neural_paste.soft_alpha(128), holed):
        frame[:] = picture(RAW)
        fitting = one.begin(frame, 0.0)
        (face,) = fitting.fitted
        face.answer, face.alpha = SwappedCrop(picture=np.zeros((128, 128, 3), np.uint8)), alpha
        one.finish(fitting)
        raw, now = (face_templates.crop(each, face.to_crop, 128)[76:84, 26:44] for each in (picture(RAW), frame))
        shown.append(bool(np.abs(raw.astype(int) - now).mean() < 3))
    assert shown == [False, False, True, False, False]

"""The two halves of a frame, apart: what has no answer of its own is blurred, whoever asked."""

import numpy as np

from models.engines import Frame, IdentitySource
from models.neural_face_wearer import NeuralFaceWearer
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


def test_a_network_s_own_edge_only_ever_narrows_ours() -> None:
    """With an alpha of nothing the pasted frame is the raw one, so it is no wider than it says; ours bounds it."""
    one, frame = begun()
    fitting = one.begin(frame, 0.0)
    (face,) = fitting.fitted
    nothing, all_of_it = (np.full((128, 128), level, np.uint8) for level in (0, 255))
    red = np.zeros((128, 128, 3), np.uint8)
    red[..., 2] = 255
    face.answer = SwappedCrop(picture=red, alpha=all_of_it)
    one.finish(fitting)
    full = frame.copy()
    frame[:] = picture(RAW)
    face.answer = SwappedCrop(picture=red)
    one.finish(fitting)
    np.testing.assert_array_equal(full, frame)
    frame[:] = picture(RAW)
    face.answer = SwappedCrop(picture=red, alpha=nothing)
    one.finish(fitting)
    assert (frame[..., 2] == 255).sum() < (full[..., 2] == 255).sum() / 10

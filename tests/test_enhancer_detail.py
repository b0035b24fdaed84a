"""What an enhancer adds, kept over frames: it stays where nothing moves, goes where something does, and never jumps."""

import cv2
import numpy as np

from models.enhancer_detail import FADE_FRAMES, KEPT, FaceDetail
from models.neural_paste import soft_alpha
from tests.test_enhancer_view import soft, view

VIEW = view()
LATENT = np.ones(512, np.float32)
SWAP = soft(128, 5)
SHOWN = VIEW.laid(SWAP)
TO_CROP = np.array([[0.25, 0, 0.0], [0, 0.25, 0.0]])


def learnt(offset: int = 20, frames: int = FADE_FRAMES) -> FaceDetail:
    """A detail that brightens by `offset`, after so many frames of it."""
    detail = FaceDetail(VIEW, LATENT)
    detail.learn(SWAP, SHOWN, np.asarray(cv2.add(SHOWN, np.full_like(SHOWN, offset)), np.uint8))
    for _ in range(frames - 1):
        detail.step(SWAP, wanted=True)
    return detail


def test_it_comes_over_some_frames_and_goes_as_slowly() -> None:
    """And then there is none, so that the plain way is taken."""
    detail, levels = learnt(frames=1), []
    for wanted in [True] * FADE_FRAMES + [False] * FADE_FRAMES:
        step = detail.step(SWAP, wanted=wanted)
        levels.append(0.0 if step is None else float(np.median(step.residual)))
    assert levels[FADE_FRAMES - 1] == 20
    assert levels[-1] == 0
    assert detail.step(SWAP, wanted=False) is None
    assert max(np.abs(np.diff([0.0, *levels]))) <= 3


def test_where_the_face_moved_the_detail_of_before_is_gone_and_elsewhere_it_stays() -> None:
    """A blink."""
    moved = SWAP.copy()
    moved[40:70, 30:60] = 255 - moved[40:70, 30:60]
    step = learnt().step(moved, wanted=True)
    assert step is not None
    (x0, y0), (x1, y1) = (VIEW.from_crop[:, :2] @ corner + VIEW.from_crop[:, 2] for corner in ((38, 48), (52, 62)))
    assert np.median(step.residual[int(y0) : int(y1), int(x0) : int(x1)]) < 4
    assert np.median(step.residual[300:400, 300:400]) == 20


def test_a_new_detail_takes_over_by_halves() -> None:
    """So that what a network makes of two frames alike does not flicker between them."""
    detail = learnt(20)
    detail.learn(SWAP, SHOWN, np.asarray(cv2.add(SHOWN, np.full_like(SHOWN, 40)), np.uint8))
    step = detail.step(SWAP, wanted=True)
    assert step is not None
    assert abs(float(np.median(step.residual)) - (20 * KEPT + 40 * (1 - KEPT))) <= 1


def test_the_detail_lies_on_the_swap_of_the_frame_whatever_its_colours() -> None:
    """The colour of the call's light is put on after the enhancer, and kept."""
    step = learnt(10).step(SWAP, wanted=True)
    assert step is not None
    toned = np.asarray(cv2.subtract(SWAP, np.full_like(SWAP, 30)), np.uint8)
    picture, alpha, way = step.over(toned, soft_alpha(128), TO_CROP)
    assert np.abs(picture.astype(int) - np.clip(VIEW.laid(toned).astype(int) + step.residual, 0, 255)).max() == 0
    assert alpha.shape == picture.shape[:2] == (512, 512)
    np.testing.assert_allclose(way, VIEW.to_view(TO_CROP))


def test_a_small_face_comes_small() -> None:
    """Halved while two pixels of it or more are one of the frame, in the same place."""
    step = learnt().step(SWAP, wanted=True)
    assert step is not None
    picture, alpha, way = step.over(SWAP, soft_alpha(128), 8 * TO_CROP)
    assert picture.shape[0] == alpha.shape[0] == 128
    middle = np.array([64.0, 60.0])
    whole = VIEW.to_view(8 * TO_CROP)
    there = whole[:, :2] @ middle + whole[:, 2]
    np.testing.assert_allclose(way[:, :2] @ middle + way[:, 2], (there + 0.5) / 4 - 0.5, atol=1e-9)

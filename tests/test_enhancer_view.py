"""What an enhancer is shown, and what of its answer counts: never the raw face, nothing beyond the swap."""

import cv2
import numpy as np
import pytest

from models import face_templates
from models.engines import Frame
from models.enhancer_view import CONTEXT_PX, EnhancerView, compose, scaled
from models.face_templates import FFHQ_512_PX, arcface_template
from models.neural_paste import soft_alpha

RNG = np.random.default_rng(3)
TO_CROP = np.array([[0.5, 0.05, -40.0], [-0.05, 0.5, -30.0]])


def view(swap_px: int = 128, enhancer: str = "ffhq") -> EnhancerView:
    """Between one of the swappers and one of the enhancers."""
    size_px, template = (512, FFHQ_512_PX) if enhancer == "ffhq" else (256, arcface_template(256))
    return EnhancerView(
        swap_px=swap_px, swap_template=arcface_template(swap_px), size_px=size_px, template=np.asarray(template)
    )


def soft(side_px: int, seed: int, sigma: float = 3.0) -> Frame:
    """A picture of soft noise, contrast stretched."""
    noise = np.random.default_rng(seed).normal(0, 1, (side_px, side_px, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.asarray(np.clip(128 + blurred / blurred.std() * 45, 0, 255), np.uint8)


@pytest.mark.parametrize("swap_px", [128, 256])
@pytest.mark.parametrize("enhancer", ["ffhq", "arcface"])
def test_the_constant_way_brings_one_template_to_the_other(swap_px: int, enhancer: str) -> None:
    """As near as a similarity gets: the two templates are of two authors."""
    made = view(swap_px, enhancer)
    at = arcface_template(swap_px) @ made.from_crop[:, :2].T + made.from_crop[:, 2]
    wanted = FFHQ_512_PX if enhancer == "ffhq" else arcface_template(256)
    assert np.abs(at - wanted).max() <= (8 if enhancer == "ffhq" else 1e-9)
    if enhancer == "arcface":
        np.testing.assert_allclose(made.from_crop, [[256 / swap_px, 0, 0], [0, 256 / swap_px, 0]], atol=1e-9)


def test_the_way_from_the_frame_is_both_ways_together() -> None:
    """One warp instead of two."""
    point = np.array([211.0, 97.0])
    crop = TO_CROP[:, :2] @ point + TO_CROP[:, 2]
    made = view()
    there = made.to_view(TO_CROP)
    np.testing.assert_allclose(
        there[:, :2] @ point + there[:, 2], made.from_crop[:, :2] @ crop + made.from_crop[:, 2], atol=1e-9
    )
    np.testing.assert_allclose(compose(face_templates.inverse(TO_CROP), TO_CROP), np.eye(3)[:2], atol=1e-9)
    assert scaled(np.eye(3)[:2], 0.5)[0, 2] == -0.25


@pytest.mark.parametrize("enhancer", ["ffhq", "arcface"])
def test_an_enhancer_never_sees_a_raw_pixel(enhancer: str) -> None:
    """Two frames that differ everywhere but in 16 x 16 colours look the same to it; inside it sees the swap alone."""
    made, swap = view(enhancer=enhancer), soft(128, 1)
    fine = RNG.integers(-1, 2, (512, 512, 3)) * 40
    flat = np.full((512, 512, 3), 120, np.uint8)
    shown = [made.shown(frame, TO_CROP, swap) for frame in (flat, np.asarray(flat + fine, np.uint8))]
    assert np.abs(flat.astype(int) - (flat + fine)).mean() > 25
    assert np.abs(shown[0].astype(int) - shown[1]).mean() <= 3
    pasted = made.alpha(soft_alpha(128)) > 0
    np.testing.assert_array_equal(shown[0][pasted], made.laid(swap)[pasted])
    np.testing.assert_array_equal(shown[1][pasted], made.laid(swap)[pasted])


def test_around_the_swap_there_are_the_colours_of_the_frame_and_no_more() -> None:
    """A red wall is red; at most as many numbers as a picture that may be seen has."""
    made = view()
    frame = np.zeros((512, 512, 3), np.uint8)
    frame[..., 2] = 200
    shown = made.shown(frame, np.array([[0.5, 0, -64.0], [0, 0.5, -64.0]]), np.full((128, 128, 3), 90, np.uint8))
    np.testing.assert_array_equal(shown[2:20, 2:20], np.broadcast_to([0, 0, 200], (18, 18, 3)))
    assert CONTEXT_PX == 16


@pytest.mark.parametrize("enhancer", ["ffhq", "arcface"])
def test_the_alpha_of_the_swap_comes_along(enhancer: str) -> None:
    """In the same place, no wider than a pixel of the crop, made once."""
    made, alpha = view(enhancer=enhancer), soft_alpha(128)
    there = made.alpha(alpha)
    back = cv2.warpAffine(there, face_templates.inverse(made.from_crop), (128, 128))
    assert np.abs(back.astype(int) - alpha).max() <= 6
    assert made.alpha(alpha) is there
    other = made.alpha(np.zeros_like(alpha))
    assert not other.any()


@pytest.mark.parametrize("enhancer", ["ffhq", "arcface"])
def test_only_the_swap_restored_is_believed(enhancer: str) -> None:
    """The swap with more detail is; the raw face, what leans to it, one colour, noise and another face are not."""
    made, raw, swap = view(enhancer=enhancer), soft(128, 4), soft(128, 9)
    shown = made.laid(swap)
    sharper = np.asarray(cv2.addWeighted(shown, 1.8, cv2.GaussianBlur(shown, (0, 0), 3), -0.8, 0), np.uint8)
    size_px = made.size_px
    wrong = {
        "raw": made.laid(raw),
        "leaning": np.asarray(cv2.addWeighted(made.laid(raw), 0.6, shown, 0.4, 0), np.uint8),
        "constant": np.full_like(shown, 128),
        "noise": RNG.integers(0, 256, (size_px, size_px, 3), np.uint8),
        "inverted": cv2.bitwise_not(shown),
        "black": np.zeros_like(shown),
        "small": np.zeros((64, 64, 3), np.uint8),
        "another": made.laid(soft(128, 12, 20.0)),
    }
    assert made.is_of(sharper, swap, raw)
    assert made.is_of(shown, swap, raw)
    assert [name for name, answer in wrong.items() if made.is_of(np.asarray(answer, np.uint8), swap, raw)] == []

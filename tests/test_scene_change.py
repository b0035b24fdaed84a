"""Noticing a newcomer without a detection."""

import numpy as np

from models.engines import Frame
from models.geometry import Floats
from models.scene_change import SceneChange


def room(noise: float = 0.0, seed: int = 0) -> Frame:
    """A wall with a gradient and sensor noise."""
    wall = np.linspace(60, 180, 640)[None, :, None] + np.zeros((480, 1, 3))
    return np.clip(wall + np.random.default_rng(seed).normal(0, noise, wall.shape), 0, 255).astype(np.uint8)


def watched(frame: Frame) -> SceneChange:
    """A watch that has looked at a frame."""
    watch = SceneChange()
    watch.look(frame)
    return watch


def with_patch(frame: Frame, x_px: int, side_px: int, offset: int) -> Frame:
    """Something of the size of a face comes in."""
    frame = frame.copy()
    patch = frame[100 : 100 + side_px, x_px : x_px + side_px]
    patch[:] = np.clip(patch.astype(int) + offset, 0, 255)
    return frame


def test_nothing_seen_yet_is_a_change() -> None:
    """The first frame has to be looked at."""
    assert SceneChange().changed(room(), [])


def test_noise_is_no_change() -> None:
    """Sensor noise of twelve grey levels from frame to frame, and a slow change of exposure."""
    watch = watched(room(12, seed=1))
    assert not watch.changed(room(12, seed=2), [])
    assert not watch.changed((room() * 0.96).astype(np.uint8), [])


def test_a_small_face_sized_thing_is_a_change() -> None:
    """Fifty pixels in a picture of 640 that differ by forty grey levels."""
    assert watched(room()).changed(with_patch(room(), 400, 50, 40), [])


def test_what_happens_on_a_known_face_is_none() -> None:
    """A talking mouth is inside a box that is followed anyway; the same thing beside it counts."""
    known: list[Floats] = [np.array([380, 80, 470, 170], np.float32)]
    assert not watched(room()).changed(with_patch(room(), 400, 50, 40), known)
    assert watched(room()).changed(with_patch(room(), 100, 50, 40), known)


def test_boxes_beyond_the_frame_are_survived() -> None:
    """A known box may lie partly or wholly outside."""
    known: list[Floats] = [np.array([-900, -900, -100, -100], np.float32), np.array([600, 400, 9e3, 9e3], np.float32)]
    assert not watched(room()).changed(room(), known)

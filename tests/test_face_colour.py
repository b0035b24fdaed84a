"""Colour match and relighting of a worn face."""

import cv2
import numpy as np

from models.engines import Frame
from models.face_colour import ColourMatch, shade

WHOLE = np.ones((96, 80), np.float32)


def skin(level: int, tint: tuple[int, int, int], seed: int = 0) -> Frame:
    """A patch of mottled colour."""
    grain = np.random.default_rng(seed).normal(0, 6, (96, 80, 1))
    return np.clip(np.array(tint) * (level / 128) + grain, 0, 255).astype(np.uint8)


def lab_mean(picture: Frame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2LAB).reshape(-1, 3).astype(np.float64).mean(0))


def test_the_mean_colour_becomes_the_wearers() -> None:
    """A pale texture on a dark wearer ends within 4 Lab units of the wearer's mean; it started far away."""
    texture, wearer = skin(190, (120, 140, 170)), skin(90, (90, 110, 150), 1)
    difference = ColourMatch().difference(texture, wearer, WHOLE)
    assert difference is not None
    matched = np.clip(texture.astype(int) + difference, 0, 255).astype(np.uint8)
    assert np.abs(lab_mean(texture) - lab_mean(wearer)).max() > 30
    assert np.abs(lab_mean(matched) - lab_mean(wearer)).max() < 4


def test_light_from_the_side_falls_on_the_worn_face() -> None:
    """An evenly lit texture on a wearer lit from the left comes out brighter on the left."""
    texture, wearer = skin(128, (110, 130, 160)), skin(128, (110, 130, 160), 1)
    wearer = np.clip(wearer * np.linspace(1.3, 0.6, 80)[None, :, None], 0, 255).astype(np.uint8)
    difference = ColourMatch().difference(texture, wearer, WHOLE)
    assert difference is not None
    assert difference[:, :20].mean() - difference[:, -20:].mean() > 25


def test_colour_follows_slowly() -> None:
    """One odd frame moves the statistics by a fraction only, so that the face does not flicker."""
    match, texture, wearer = ColourMatch(), skin(128, (110, 130, 160)), skin(128, (110, 130, 160), 1)
    steady = match.difference(texture, wearer, WHOLE)
    assert match._statistics is not None
    before = match._statistics.copy()
    match.difference(texture, skin(220, (110, 130, 160), 2), WHOLE)
    measured_jump = lab_mean(skin(220, (110, 130, 160), 2))[0] - lab_mean(wearer)[0]
    assert steady is not None
    assert 0 < (match._statistics - before)[2, 0] < 0.2 * measured_jump


def test_too_little_skin_is_not_measured() -> None:
    """Without skin there is nothing to match: the caller blurs instead of guessing."""
    texture = skin(128, (110, 130, 160))
    assert ColourMatch().difference(texture, texture, np.zeros((96, 80), np.float32)) is None


def test_a_mask_keeps_its_colour_and_takes_the_light() -> None:
    """Shading moves lightness along with the scene but leaves the mask's hue."""
    texture = skin(128, (200, 80, 60))
    wearer = np.clip(skin(128, (110, 130, 160)) * np.linspace(1.4, 0.5, 80)[None, :, None], 0, 255).astype(np.uint8)
    shaded = np.clip(texture.astype(int) + shade(texture, wearer, WHOLE, 0.6), 0, 255).astype(np.uint8)
    assert np.abs(lab_mean(shaded) - lab_mean(texture))[1:].max() < 5
    assert shaded[:, :20].mean() > shaded[:, -20:].mean() + 8

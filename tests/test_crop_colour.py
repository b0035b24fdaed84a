"""A swapped crop in the wearer's colours: six numbers of the raw face, within bounds, and nothing of its drawing."""

import numpy as np

from models import neural_paste
from models.crop_colour import CropColour
from models.engines import Frame

SIZE = 128
ALPHA = neural_paste.soft_alpha(SIZE)
INSIDE = ALPHA > 127
RNG = np.random.default_rng(5)


def noise(level: int, spread: int) -> Frame:
    """A grey picture of noise."""
    return np.clip(RNG.normal(level, spread, (SIZE, SIZE, 1)).repeat(3, axis=2), 0, 255).astype(np.uint8)


def test_mean_and_spread_follow_the_wearer() -> None:
    """Within a level, for a difference within the bounds."""
    swapped, raw = noise(120, 20), noise(138, 23)
    toned = CropColour().matched(swapped, raw, ALPHA)
    assert abs(float(toned[INSIDE].mean()) - float(raw[INSIDE].mean())) < 1.5
    assert abs(float(toned[INSIDE].std()) - float(raw[INSIDE].std())) < 1.5


def test_a_lamp_or_a_wrong_face_is_not_followed_beyond_the_bounds() -> None:
    """24 levels of Lab at most: less than 30 of grey here."""
    toned = CropColour().matched(noise(60, 10), noise(240, 10), ALPHA)
    assert 10 < float(toned[INSIDE].mean()) - 60 < 30


def test_a_sudden_change_comes_in_steps() -> None:
    """A flash of one frame moves the colour by the smoothing's share only."""
    colour, swapped = CropColour(), noise(120, 20)
    colour.matched(swapped, noise(120, 20), ALPHA)
    flash = colour.matched(swapped, noise(140, 20), ALPHA)
    assert float(flash[INSIDE].mean()) - float(swapped[INSIDE].mean()) < 0.3 * 20


def test_nothing_of_the_raw_drawing_comes_through() -> None:
    """What is drawn in the raw crop is not in the result: it correlates with the swap alone."""
    swapped, raw = noise(120, 20), noise(125, 25)
    toned = CropColour().matched(swapped, raw, ALPHA).astype(float)[INSIDE].ravel()
    assert abs(np.corrcoef(toned, raw[INSIDE].ravel())[0, 1]) < 0.05
    assert np.corrcoef(toned, swapped[INSIDE].ravel())[0, 1] > 0.99


def test_with_nothing_to_count_it_is_left_alone() -> None:
    """A face that is all cut out."""
    swapped = noise(120, 20)
    assert CropColour().matched(swapped, noise(10, 5), np.zeros((SIZE, SIZE), np.uint8)) is swapped

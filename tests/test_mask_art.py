"""The built-in masks: they are told apart, hide what makes a face known, and open at the eyes."""

import numpy as np
import pytest

from models import face_mesh, mask_art
from models import mask_canvas as canvas

NAMES = [mask.name for mask in mask_art.MASKS]


def test_there_are_at_least_four_and_each_has_a_painter() -> None:
    """The gallery promises what can be drawn; the first is the default."""
    assert len(NAMES) >= 4
    assert len(set(NAMES)) == len(NAMES)
    assert set(NAMES) == set(mask_art.PAINTERS)
    assert all(mask.title and mask.description for mask in mask_art.MASKS)


@pytest.mark.parametrize("name", NAMES)
def test_a_thumbnail_shows_a_mask_on_a_quiet_backdrop(name: str) -> None:
    """The middle is painted, the corners are backdrop, the size is what was asked for."""
    picture = mask_art.thumbnail(name, 160)
    assert picture.shape == (160, 160, 3)
    assert picture.dtype == np.uint8
    assert picture[:12, :12].std() < 8
    assert picture[40:130, 45:115].std() > 12


def test_masks_differ_from_one_another() -> None:
    """No two thumbnails could be mistaken for each other."""
    pictures = [mask_art.thumbnail(name, 96).astype(int) for name in NAMES]
    for i, one in enumerate(pictures):
        for other in pictures[i + 1 :]:
            assert np.abs(one - other).mean() > 8


@pytest.mark.parametrize("name", NAMES)
def test_a_worn_mask_covers_brows_lids_lips_and_oval(name: str) -> None:
    """It is opaque over every one of the 468 vertices; only eyes and an open mouth let something through."""
    worn = mask_art.worn(name)
    assert worn.opaque
    assert worn.mouth < 0.5
    assert worn.corners.shape == (len(face_mesh.TRIANGLES), 3, 2)
    assert worn.corners.min() >= 0
    assert worn.corners.max() <= mask_art.TEXTURE_PX
    assert mask_art.worn(name) is worn


def test_the_visor_shows_no_eyes() -> None:
    """What is behind glass stays there."""
    assert mask_art.worn("visor").eyes == 0


def test_drawing_is_repeatable() -> None:
    """Seeded noise: the same mask on every machine and start."""
    first = mask_art.PAINTERS["carved"]()
    assert np.array_equal(first, mask_art.PAINTERS["carved"]())


def test_an_unknown_mask_is_refused() -> None:
    """A name that is not in the gallery is the caller's error."""
    with pytest.raises(KeyError):
        mask_art.worn("mona lisa")


def test_the_canvas_holds_the_whole_layout() -> None:
    """No vertex of mesh or apron falls off the canvas, and the nose stands highest."""
    layout = canvas.layout()
    assert layout.min() > 0
    assert layout.max() < canvas.CANVAS_PX
    height = canvas.relief().height
    nose_x, nose_y = layout[4].astype(int)
    assert height[nose_y, nose_x] == pytest.approx(float(height.max()), abs=0.6)

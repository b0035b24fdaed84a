"""The unrolled face that masks are painted on."""

import numpy as np

from models import face_mesh
from models import mask_canvas as canvas


def test_normals_are_unit_and_face_the_viewer() -> None:
    """Light falls on the front: at the cheeks and forehead the surface looks towards the camera (z below zero)."""
    normals = canvas.relief().normals
    for vertex in (50, 280, 151, 4):
        x, y = canvas.layout()[vertex].astype(int)
        assert np.linalg.norm(normals[y, x]) == np.float32(1).item() or abs(np.linalg.norm(normals[y, x]) - 1) < 1e-3
        assert normals[y, x, 2] < -0.5


def test_light_from_the_left_makes_the_left_cheek_brighter() -> None:
    """The painted relief has a side in light and one in shade."""
    grey = canvas.lit(canvas.plain("808080"), gloss=0.0, sharpness=10, depth=0.6)
    left, right = canvas.layout()[50].astype(int), canvas.layout()[280].astype(int)
    assert grey[left[1], left[0], 0] > grey[right[1], right[0], 0] + 0.02


def test_a_region_is_full_inside_and_empty_far_away() -> None:
    """An outline through the lips covers the lips and not the brows."""
    lips = canvas.region(face_mesh.OUTER_LIPS)
    inside, brow = canvas.layout()[0].astype(int) + [0, 4], canvas.layout()[105].astype(int)
    assert lips[inside[1], inside[0]] > 0.9
    assert lips[brow[1], brow[0]] == 0


def test_colours_are_read_as_rgb_and_kept_as_bgr() -> None:
    """`ff8000` is orange: blue nothing, red full."""
    assert canvas.bgr("ff8000").tolist() == [0.0, np.float32(128 / 255), 1.0]


def test_noise_is_seeded_and_centred() -> None:
    """The same seed gives the same grain; it neither darkens nor brightens on the whole."""
    assert np.array_equal(canvas.noise(3, 100), canvas.noise(3, 100))
    assert abs(float(canvas.noise(3, 40).mean())) < 0.1
    assert not np.array_equal(canvas.noise(3, 100), canvas.noise(4, 100))

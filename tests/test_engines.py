"""The seams' own values."""

import numpy as np

from models.engines import FaceBox, Swap


def test_a_swap_counts_the_faces_that_wear_the_identity() -> None:
    """Blurred faces do not count."""
    faces = tuple(
        FaceBox(x_px=0, y_px=0, width_px=1, height_px=1, score=1, swapped=worn) for worn in (True, False, True)
    )

    assert Swap(frame=np.zeros((2, 2, 3), np.uint8), faces=faces).swapped == 2

"""A frame between its two halves: nothing is pasted that has no answer."""

import numpy as np

from models.carried_faces import CarriedFaces
from models.fitting import FittedFace, Fitting


def test_a_face_starts_without_an_answer() -> None:
    """And a frame without faces, uncovered; each has lists of its own."""
    seen = CarriedFaces(faces=(), others=(), trusted=True, searched=True)
    one, other = (Fitting(frame=np.zeros((4, 4, 3), np.uint8), seen=seen) for _ in range(2))
    assert (one.fitted, one.covered) == ([], False)
    assert one.fitted is not other.fitted
    assert FittedFace.__dataclass_fields__["answer"].default is None

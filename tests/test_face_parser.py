"""The face parser's way in and out: ImageNet's mean and spread, red first, the best of 19 classes."""

import numpy as np
import pytest

from models.face_parser import INNER_MOUTH, SIZE_PX, FaceParser
from models.runtime import NetworkError
from tests.mask_graphs import parser_graph
from tests.neural_parts import FaultyGraph


def test_each_pixel_has_its_best_class() -> None:
    """The stand-in calls red mouth: (1 - 0.485) / 0.229 is over its 0.5 for skin, black is under."""
    crop = np.zeros((128, 128, 3), np.uint8)
    crop[:64, :, 2] = 255
    (classes,) = FaceParser(parser_graph()).classes([crop])
    assert classes.shape == (SIZE_PX, SIZE_PX)
    assert (classes[:240] == INNER_MOUTH).all()
    assert (classes[272:] == 1).all()
    assert FaceParser(parser_graph()).classes([]) == []


def test_numbers_that_are_not_finite_raise() -> None:
    """Rather than name a part."""
    with pytest.raises(NetworkError):
        FaceParser(FaultyGraph(parser_graph(), "not finite", 1, 9)).classes([np.zeros((128, 128, 3), np.uint8)])

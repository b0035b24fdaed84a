"""XSeg's way in and out: blue first, channels last, 0 to 1, any crop size."""

import numpy as np
import pytest

from models.runtime import NetworkError
from models.xseg import SIZE_PX, XSeg
from tests.mask_graphs import xseg_graph
from tests.neural_parts import FaultyGraph


def test_each_crop_has_a_plane_of_its_own() -> None:
    """The stand-in says how blue a pixel is, in shares of full."""
    crops = [np.zeros((128, 128, 3), np.uint8), np.zeros((256, 256, 3), np.uint8)]
    crops[0][..., 0] = 255
    crops[1][..., 2] = 255
    face, none = XSeg(xseg_graph()).visible(crops)
    assert face.shape == none.shape == (SIZE_PX, SIZE_PX)
    assert (face == 1).all()
    assert (none == 0).all()
    assert XSeg(xseg_graph()).visible([]) == []


def test_numbers_that_are_not_finite_raise() -> None:
    """Rather than hide nothing."""
    with pytest.raises(NetworkError):
        XSeg(FaultyGraph(xseg_graph(), "not finite", 1, 9)).visible([np.zeros((128, 128, 3), np.uint8)])

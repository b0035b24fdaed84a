"""The swapper's seam: the networks that claim to be one are, and say where their own edge lies."""

import numpy as np

from models.inswapper import InSwapper
from models.swapper import SwappedCrop, Swapper
from tests.asset_frames import with_golden
from tests.neural_parts import NARROW, small_engine


@with_golden
def test_inswapper_is_a_swapper() -> None:
    """As mypy sees it, and by its sizes."""
    swapper: Swapper = small_engine().swapper
    assert isinstance(swapper, InSwapper)
    assert NARROW.is_file()
    assert (swapper.size_px, swapper.template_px.shape) == (128, (5, 2))


def test_a_crop_has_no_edge_of_its_own_unless_the_network_draws_one() -> None:
    """None: the engine's own soft square."""
    assert SwappedCrop(picture=np.zeros((128, 128, 3), np.uint8)).alpha is None

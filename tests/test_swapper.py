"""The swapper's seam: the networks that claim to be one are, and say where their own edge lies."""

import numpy as np
import pytest

from models.inswapper import InSwapper
from models.runtime import NetworkError
from models.swapper import SwappedCrop, Swapper, sound_rows
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


def test_rows_are_judged_one_by_one_and_all_of_nonsense_is_an_error() -> None:
    """Not finite, in any output; one colour, though its channels differ in nothing else either."""
    pictures = np.random.default_rng(1).uniform(0, 1, (5, 3, 4, 4)).astype(np.float32)
    edges = np.zeros((5, 1, 4, 4), np.float32)
    pictures[0, 1, 2, 3], pictures[1, 0, 0, 0], pictures[2], edges[3] = np.nan, np.inf, 0.5, np.nan
    assert sound_rows(pictures, edges) == [False, False, False, False, True]
    assert sound_rows(pictures) == [False, False, False, True, True]
    with pytest.raises(NetworkError, match="single colour"):
        sound_rows(pictures[:4], edges[:4])

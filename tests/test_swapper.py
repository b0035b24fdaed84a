"""The swapper's seam: the networks that claim to be one are, say where their edge lies, and may answer nonsense."""

from collections.abc import Mapping

import numpy as np
import pytest

from models.engines import IdentitySource
from models.inswapper import InSwapper
from models.neural_face_engine import FAILED_RUNS_TO_RESTART
from models.runtime import Array, NetworkError
from models.swapper import NonsenseAnswer, SwappedCrop, Swapper, sound_rows
from tests.asset_frames import picture, with_golden
from tests.neural_parts import NARROW, FaultyGraph, small_engine, swapper_graph

PICTURE = "grid_bbaf2n.mpg@5"


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


class LatentFault:
    """A swapper's graph that has no picture for the faces of one latent, however often it is asked."""

    def __init__(self) -> None:
        self._inner = swapper_graph()
        self.inputs, self.outputs = self._inner.inputs, self._inner.outputs
        self.latent: Array = np.zeros(512, np.float32)

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """As the swapper, but for those faces."""
        (out,) = self._inner.run(feeds)
        unlucky = (feeds["source"] == self.latent).all(axis=1)
        return (np.where(unlucky[:, None, None, None], np.float32(np.nan), out),)


@with_golden
def test_nonsense_for_one_caller_s_face_does_not_end_the_process_again_and_again() -> None:
    """They alone are there, and every answer is nonsense: another process would give the same. Others go on."""
    graph = LatentFault()
    engine = small_engine(swapper=graph)
    unlucky, other = engine.open(max_faces=1), engine.open(max_faces=1)
    porcelain, carved = (engine.prepare(IdentitySource(kind="mask", name=name)) for name in ("porcelain", "carved"))
    graph.latent = porcelain.latent
    unlucky.wear(porcelain)
    other.wear(carved)
    raw = picture(PICTURE)
    for number in range(3 * FAILED_RUNS_TO_RESTART):
        with pytest.raises(NonsenseAnswer):
            unlucky.swap(raw.copy(), number / 25)
    assert other.swap(raw.copy(), 0.0).swapped == 1


@with_golden
def test_nonsense_for_everything_ends_the_process() -> None:
    """A GPU in disorder: the picture of nothing fails, too, as it did not at the start."""
    engine, raw = small_engine(swapper=FaultyGraph(swapper_graph(), "not finite", 1, 10_000)), picture(PICTURE)
    one = engine.open(max_faces=1)
    one.wear(engine.prepare(IdentitySource(kind="mask", name="porcelain")))
    for number in range(FAILED_RUNS_TO_RESTART - 1):
        with pytest.raises(NonsenseAnswer):
            one.swap(raw.copy(), number / 25)
    with pytest.raises(SystemExit, match="in a row"):
        one.swap(raw.copy(), 1.0)

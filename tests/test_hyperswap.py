"""HyperSwap's way in and out: value ranges, channel order, the identity as it is, the edge that it draws."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from models.graph_opener import GraphOpener
from models.hyperswap import SIZE_PX, TEMPLATE_PX, HyperSwap, open_hyperswap
from models.inswapper import TEMPLATE_PX as SMALL_TEMPLATE_PX
from models.runtime import Array, NetworkError
from models.swapper import Swapper
from tests import mask_graphs
from tests.neural_parts import FaultyGraph, sound

CROPS = list(np.random.default_rng(3).integers(0, 256, (2, SIZE_PX, SIZE_PX, 3), np.uint8))
LATENTS = list(np.eye(512, dtype=np.float32)[:2])


def test_it_lies_as_inswapper_s_crop_at_twice_the_size() -> None:
    """FaceFusion's arcface_128 template, by two; the identity is the embedding, made a unit."""
    swapper: Swapper = HyperSwap(mask_graphs.hyperswap_graph())
    np.testing.assert_allclose(TEMPLATE_PX, 2 * SMALL_TEMPLATE_PX)
    assert swapper.size_px == 256
    np.testing.assert_allclose(swapper.latent(np.full(512, 2, np.float32)), np.full(512, 512**-0.5), rtol=1e-6)


@pytest.mark.parametrize("batch", [1, "N"])
def test_pictures_come_back_in_levels_and_each_wears_its_own(batch: int | str) -> None:
    """The stand-in gives the negative; the first identity adds a tenth of the range, the second nothing."""
    swapped = sound(HyperSwap(mask_graphs.hyperswap_graph(batch)).swap(CROPS, LATENTS))
    for answer, crop, shift in zip(swapped, CROPS, (0.1 * 127.5, 0.0), strict=True):
        wanted = np.clip(255.0 - crop + shift, 0, 255)
        assert np.abs(answer.picture - wanted).max() <= 1
        assert answer.alpha is not None
        np.testing.assert_array_equal(answer.alpha > 127, crop[..., 2] > 127.5)
    assert HyperSwap(mask_graphs.hyperswap_graph()).swap([], []) == []


@pytest.mark.parametrize("fault", ["not finite", "constant", "raises"])
def test_nonsense_is_no_swap(fault: str) -> None:
    """Numbers that are not finite, one colour, a network that fails."""
    graph = FaultyGraph(mask_graphs.hyperswap_graph(), fault, 1, 9)
    with pytest.raises(NetworkError):
        HyperSwap(graph).swap(CROPS[:1], LATENTS[:1])


class NoEdge(FaultyGraph):
    """Sound pictures, of which the first has an edge that is not finite."""

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """Take the edge."""
        picture, edge = super().run(feeds)
        return picture, np.concatenate([np.full_like(edge[:1], np.nan), edge[1:]])


def test_an_edge_that_is_not_finite_is_no_edge() -> None:
    """The picture is well: it is refused all the same."""
    with pytest.raises(NetworkError):
        HyperSwap(NoEdge(mask_graphs.hyperswap_graph())).swap(CROPS[:1], LATENTS[:1])


@pytest.mark.parametrize("fault", ["one is not finite", "one is constant", "edge"])
def test_one_crop_of_nonsense_is_none_and_costs_nobody_else_theirs(fault: str) -> None:
    """Whether its picture or its edge."""
    graph = mask_graphs.hyperswap_graph("N")
    faulty = NoEdge(graph) if fault == "edge" else FaultyGraph(graph, fault, 1, 9)
    first, *others = HyperSwap(faulty).swap(CROPS, LATENTS)
    assert first is None
    (other,), (wanted,) = sound(others), sound(HyperSwap(graph).swap(CROPS[1:], LATENTS[1:]))
    np.testing.assert_array_equal(other.picture, wanted.picture)
    np.testing.assert_array_equal(np.asarray(other.alpha), np.asarray(wanted.alpha))


def test_a_file_is_opened_by_its_contract(tmp_path: Path) -> None:
    """And another network under its name is refused."""
    path = tmp_path / "hyperswap_1a_256.onnx"
    path.write_bytes(mask_graphs.hyperswap())
    assert open_hyperswap(path, GraphOpener(None)).swap(CROPS[:1], LATENTS[:1])
    path.write_bytes(mask_graphs.xseg())
    with pytest.raises(NetworkError, match="is expected"):
        open_hyperswap(path, GraphOpener(None))

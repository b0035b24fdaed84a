"""InSwapper against InsightFace's own class: golden crops of the narrow network, latents, batches, cross-talk."""

import functools
import os
import weakref
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models import face_templates
from models.graph_opener import GraphOpener
from models.inswapper import SIZE_PX, InSwapper, alignment, open_first_inswapper, open_inswapper
from models.model_spec import GraphContract, TensorSpec
from models.neural_face_catalog import INSWAPPER_CONTRACT
from models.neural_graph import last_initializer, with_open_batch
from models.runtime import NetworkError, OnnxGraph, Placement
from tests.asset_frames import ASSETS, GOLDEN, picture, with_golden
from tests.golden_inputs import inswapper_target, tensors
from tests.inswapper_graph import InSwapperGraph, write_inswapper
from tests.neural_parts import FaultyGraph, sound, swapper_graph

NARROW = GOLDEN / "inswapper_narrow"
OPENCV = "" if int(cv2.__version__.split(".")[0]) >= 5 else "_cv412"


def _free_bytes() -> int:
    """Memory that can be had now."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@functools.cache
def swapper() -> InSwapper:
    """The network of the golden fixtures: InSwapper with all widths divided by 32."""
    return open_inswapper(NARROW / "inswapper_narrow.onnx", GraphOpener(None))


@functools.cache
def golden() -> dict[str, np.ndarray]:
    """What InsightFace 2.1 gave."""
    return dict(np.load(NARROW / "golden.npz"))


@with_golden
def test_the_latent_is_the_embedding_through_the_matrix_at_unit_length() -> None:
    """To rounding."""
    latent = swapper().latent(golden()["embedding"])
    np.testing.assert_allclose(latent, golden()["latent"], atol=1e-6)
    assert np.linalg.norm(latent) == pytest.approx(1, abs=1e-6)


@with_golden
def test_the_network_gives_the_reference_s_output() -> None:
    """Of the network alone, on the golden input: 1e-4, as the fixtures' README asks."""
    graph = OnnxGraph(NARROW / "inswapper_narrow.onnx", INSWAPPER_CONTRACT)
    target = inswapper_target("inswapper_narrow")
    blob = np.ascontiguousarray(target.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
    (out,) = graph.run({"target": blob, "source": golden()["latent"][None]})
    assert np.abs(out[0] - golden()["output"]).max() <= 1e-4
    swapped = sound(swapper().swap([np.ascontiguousarray(target[..., ::-1])], [golden()["latent"]]))[0].picture
    wanted = golden()["output"].transpose(1, 2, 0)[..., ::-1] * 255
    assert np.abs(swapped - wanted).max() <= 1.01


@with_golden
def test_the_swapped_crop_is_insightface_s() -> None:
    """From the picture and five points on: the aligned crop and the swap of it, to two levels of 255."""
    to_crop = alignment(golden()["kps"])
    np.testing.assert_allclose(to_crop, golden()["M"], atol=1e-4)
    crop = face_templates.crop(picture("astronaut.png"), to_crop, SIZE_PX)
    assert np.abs(crop.astype(int) - golden()["aligned_bgr" + OPENCV]).max() <= 2
    swapped = sound(swapper().swap([crop], [golden()["latent"]]))[0].picture
    assert np.abs(swapped.astype(int) - golden()["get_nopaste_bgr" + OPENCV]).max() <= 2


@with_golden
def test_the_architecture_in_our_own_words_is_the_published_one(tmp_path: Path) -> None:
    """The graph that the tests build, narrow: the same output, and the same last constant, as the exported file."""
    ours = open_inswapper(write_inswapper("inswapper_narrow", tmp_path / "built.onnx"), GraphOpener(None))
    crop = np.ascontiguousarray(inswapper_target("inswapper_narrow")[..., ::-1])
    latent = ours.latent(golden()["embedding"])
    built, exported = (sound(one.swap([crop], [latent]))[0].picture for one in (ours, swapper()))
    assert np.abs(built.astype(int) - exported).max() <= 1


@with_golden
@pytest.mark.skipif(_free_bytes() < 5e9, reason="the full network needs 5 GB of memory")
def test_the_full_network_gives_the_reference_s_output(tmp_path: Path) -> None:
    """138 million weights by the fill formula: 1e-4 of the golden output, and two levels of 255 of its crop."""
    path = write_inswapper("inswapper_128", tmp_path / "inswapper_128.onnx")
    graph = OnnxGraph(path, placement=Placement(threads=2), content=with_open_batch(path.read_bytes()))
    full = InSwapper(graph, last_initializer(path))
    wanted = np.load(GOLDEN / "inswapper_128" / "golden.npz")
    target = inswapper_target("inswapper_128")
    latent = full.latent(wanted["embedding"])
    np.testing.assert_allclose(latent, wanted["latent"], atol=1e-6)
    swapped = sound(full.swap([np.ascontiguousarray(target[..., ::-1])], [latent]))[0].picture
    rgb = swapped[..., ::-1].transpose(2, 0, 1)
    assert np.abs(rgb[:, 1::2, ::2] - 255 * wanted["out_stride2_off1_0"]).max() <= 1.01
    blob = np.ascontiguousarray(target.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
    (out,) = graph.run({"target": blob, "source": latent[None]})
    assert np.abs(out[0][:, 1::2, ::2] - wanted["out_stride2_off1_0"]).max() <= 1e-4
    edges = [out[0][:, 0], out[0][:, -1], out[0][:, :, 0], out[0][:, :, -1]]
    assert np.abs(np.stack(edges) - wanted["out_edges"]).max() <= 1e-4


@with_golden
def test_a_batch_of_people_is_what_each_gives_alone_and_nothing_of_the_other() -> None:
    """Two identities on three crops in one run: bit by bit the single runs, whoever else is in the batch."""
    rng = np.random.default_rng(2)
    crops = [rng.integers(0, 256, (SIZE_PX, SIZE_PX, 3), np.uint8) for _ in range(3)]
    latents = [swapper().latent(one) for one in np.eye(512, dtype=np.float32)[:3]]
    together = sound(swapper().swap(crops, latents))
    for crop, latent, swapped in zip(crops, latents, together, strict=True):
        np.testing.assert_array_equal(sound(swapper().swap([crop], [latent]))[0].picture, swapped.picture)
    other = sound(swapper().swap(crops[:1], latents[1:2]))[0].picture
    assert np.abs(together[0].picture.astype(int) - other).max() > 10
    assert swapper().swap([], []) == []


@with_golden
@pytest.mark.parametrize("fault", ["one is not finite", "one is constant"])
def test_one_crop_of_nonsense_is_none_and_costs_nobody_else_theirs(fault: str) -> None:
    """Bit by bit what the others have without it; a run of nothing else is an error, a broken network."""
    crops = [np.random.default_rng(seed).integers(0, 256, (SIZE_PX, SIZE_PX, 3), np.uint8) for seed in range(3)]
    latents = [swapper().latent(one) for one in np.eye(512, dtype=np.float32)[:3]]
    faulty = InSwapper(FaultyGraph(swapper_graph(), fault, 1, 9), last_initializer(NARROW / "inswapper_narrow.onnx"))
    first, *others = faulty.swap(crops, latents)
    assert first is None
    for other, wanted in zip(sound(others), sound(swapper().swap(crops[1:], latents[1:])), strict=True):
        np.testing.assert_array_equal(other.picture, wanted.picture)
    with pytest.raises(NetworkError, match="single colour"):
        faulty.swap(crops[:1], latents[:1])


@with_golden
def test_a_file_that_gives_black_squares_makes_way_for_the_next(tmp_path: Path) -> None:
    """What half precision does on some cards: refused at start-up with its reason, and the full file serves."""
    weights = dict(tensors("inswapper_narrow"))
    weights["decoderPart2.0.weight"] = np.zeros_like(weights["decoderPart2.0.weight"])
    weights["decoderPart2.0.bias"] = np.full(3, -100, np.float32)
    black, sound = tmp_path / "inswapper_128_fp16.onnx", NARROW / "inswapper_narrow.onnx"
    black.write_bytes(InSwapperGraph(weights).build(np.eye(512, dtype=np.float32)))
    opened, path, refused = open_first_inswapper([black, sound], GraphOpener(None))
    assert path == sound
    assert len(refused) == 1
    assert "inswapper_128_fp16.onnx gives a constant" in refused[0]
    np.testing.assert_allclose(opened.latent(golden()["embedding"]), golden()["latent"], atol=1e-6)
    assert open_first_inswapper([sound, black], GraphOpener(None))[1:] == (sound, ())
    with pytest.raises(NetworkError, match="constant"):
        open_first_inswapper([black, black], GraphOpener(None))
    with pytest.raises(ValueError, match="no swapper"):
        open_first_inswapper([], GraphOpener(None))


def test_a_matrix_of_another_size_is_refused() -> None:
    """A file whose constants were put in another order would swap to nobody."""

    class Nothing:
        inputs: tuple[TensorSpec, ...] = ()
        outputs: tuple[TensorSpec, ...] = ()

        def run(self, feeds: object) -> tuple[np.ndarray, ...]:
            raise AssertionError(feeds)

    with pytest.raises(NetworkError, match="identity matrix"):
        InSwapper(Nothing(), np.eye(128, dtype=np.float32))


@pytest.mark.skipif(not (ASSETS / "models").exists(), reason="needs ../shared/assets")
def test_a_detector_is_no_swapper() -> None:
    """The wrong file under the right name: a sentence that names it, no crash."""
    with pytest.raises(NetworkError, match="det_500m.onnx"):
        open_inswapper(Path(ASSETS / "models" / "det_500m.onnx"), GraphOpener(None))


@with_golden
def test_where_a_gpu_refuses_an_open_batch_it_is_one_face_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slower then, and said; what was refused is gone from the GPU before half a gigabyte more goes there."""
    refused: list[weakref.ref[OnnxGraph]] = []

    def picky(path: Path, contract: GraphContract, **options: Any) -> OnnxGraph:
        graph = OnnxGraph(path, contract)
        if options.pop("content", None) is not None:
            refused.append(weakref.ref(graph))
            raise NetworkError("nodes are assigned to the CPU")
        assert [one() for one in refused] == [None]
        return graph

    opener = GraphOpener("cuda")
    monkeypatch.setattr(opener, "open", picky)
    crop = np.ascontiguousarray(inswapper_target("inswapper_narrow")[..., ::-1])
    opened = open_inswapper(NARROW / "inswapper_narrow.onnx", opener)
    latent = opened.latent(golden()["embedding"])
    wanted = sound(swapper().swap([crop], [latent]))[0].picture
    np.testing.assert_array_equal(sound(opened.swap([crop], [latent]))[0].picture, wanted)
    assert opener.said == ["one face a run: nodes are assigned to the CPU"]

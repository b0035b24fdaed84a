"""InSwapper against InsightFace's own class: golden crops of the narrow network, latents, batches, cross-talk."""

import functools
from pathlib import Path

import cv2
import numpy as np
import pytest

from models import face_templates
from models.inswapper import SIZE_PX, InSwapper, alignment, open_inswapper
from models.model_spec import TensorSpec
from models.neural_face_catalog import INSWAPPER_CONTRACT
from models.runtime import NetworkError, OnnxGraph, Placement
from tests.asset_frames import ASSETS, GOLDEN, picture, with_golden
from tests.golden_inputs import inswapper_target

NARROW = GOLDEN / "inswapper_narrow"
OPENCV = "" if int(cv2.__version__.split(".")[0]) >= 5 else "_cv412"


@functools.cache
def swapper() -> InSwapper:
    """The network of the golden fixtures: InSwapper with all widths divided by 32."""
    return open_inswapper(NARROW / "inswapper_narrow.onnx", Placement())


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
    (swapped,) = swapper().swap([np.ascontiguousarray(target[..., ::-1])], [golden()["latent"]])
    wanted = golden()["output"].transpose(1, 2, 0)[..., ::-1] * 255
    assert np.abs(swapped - wanted).max() <= 1.01


@with_golden
def test_the_swapped_crop_is_insightface_s() -> None:
    """From the picture and five points on: the aligned crop and the swap of it, to two levels of 255."""
    to_crop = alignment(golden()["kps"])
    np.testing.assert_allclose(to_crop, golden()["M"], atol=1e-4)
    crop = face_templates.crop(picture("astronaut.png"), to_crop, SIZE_PX)
    assert np.abs(crop.astype(int) - golden()["aligned_bgr" + OPENCV]).max() <= 2
    (swapped,) = swapper().swap([crop], [golden()["latent"]])
    assert np.abs(swapped.astype(int) - golden()["get_nopaste_bgr" + OPENCV]).max() <= 2


@with_golden
def test_a_batch_of_people_is_what_each_gives_alone_and_nothing_of_the_other() -> None:
    """Two identities on three crops in one run: bit by bit the single runs, whoever else is in the batch."""
    rng = np.random.default_rng(2)
    crops = [rng.integers(0, 256, (SIZE_PX, SIZE_PX, 3), np.uint8) for _ in range(3)]
    latents = [swapper().latent(one) for one in np.eye(512, dtype=np.float32)[:3]]
    together = swapper().swap(crops, latents)
    for crop, latent, swapped in zip(crops, latents, together, strict=True):
        np.testing.assert_array_equal(swapper().swap([crop], [latent])[0], swapped)
    assert np.abs(together[0].astype(int) - swapper().swap(crops[:1], latents[1:2])[0]).max() > 10
    assert swapper().swap([], []) == []


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
        open_inswapper(Path(ASSETS / "models" / "det_500m.onnx"), Placement())

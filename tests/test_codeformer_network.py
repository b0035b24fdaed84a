"""CodeFormer against the reference network's golden outputs, its weights rebuilt by the fill formula. Needs torch."""

import functools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from models.codeformer_store import FIDELITY, GRAPH_NAME, PICTURE, RESTORED
from models.convert.codeformer_network import KEY, CodeFormer, load_codeformer
from models.convert.enhancer_import import OPEN, probe
from models.convert.onnx_export import SharedWeights, export
from models.runtime import NetworkError, OnnxGraph, Placement
from tests.asset_frames import GOLDEN, frames, with_golden
from tests.golden_inputs import schema, tensors


@pytest.fixture(scope="module", autouse=True)
def _both_cores() -> Iterator[None]:
    """The network at its full size takes a core half a minute."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@functools.cache
def golden() -> dict[str, np.ndarray]:
    """What the reference gave."""
    return dict(np.load(GOLDEN / "codeformer" / "golden.npz"))


def golden_checkpoint(folder: Path) -> Path:
    """A file as the public one is laid out."""
    path = folder / "codeformer.pth"
    weights = {name: torch.from_numpy(np.asarray(value)) for name, value in tensors("codeformer")}
    torch.save({KEY: weights}, path)
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> CodeFormer:
    """Loaded from a checkpoint, so that names, shapes and reading are tested too."""
    return load_codeformer(golden_checkpoint(tmp_path_factory.mktemp("weights")))


@functools.cache
def picture() -> torch.Tensor:
    """The golden input."""
    rgb = np.ascontiguousarray(frames("astronaut.png")[0][..., ::-1].transpose(2, 0, 1)[None], np.float32)
    return torch.from_numpy((rgb / np.float32(255) - np.float32(0.5)) / np.float32(0.5))


def assert_output(out: torch.Tensor, name: str, tolerance: float = 2e-4) -> None:
    """The parts of the output that the fixture keeps: a lattice, a patch, the four border lines."""
    got = out[0].numpy()
    assert np.abs(got[:, 3::8, 5::8] - golden()[f"out_{name}_stride8_off3_5"]).max() <= tolerance
    assert np.abs(got[:, 200:224, 200:224] - golden()[f"out_{name}_patch_y200_x200_24"]).max() <= tolerance
    edges = np.stack([got[:, 0], got[:, -1], got[:, :, 0], got[:, :, -1]])
    assert np.abs(edges - golden()[f"out_{name}_edges"]).max() <= tolerance


@with_golden
def test_every_step_is_the_reference_s(network: CodeFormer) -> None:
    """Features, logits, codes, dressed codes, then the picture without and with the bridges, each to its tolerance."""
    with torch.inference_mode():
        features, taps = network.encode(picture())
        logits = network.logits(features)
        codes = logits.argmax(dim=2)
        dressed = network.dressed(codes, features)
        plain, bridged = (network.draw(dressed, taps, fidelity) for fidelity in (0.0, 0.75))
    assert np.abs(features[0].numpy() - golden()["lq_feat"]).max() <= 1e-3
    assert np.abs(logits[0, golden()["logits_tokens"]].numpy() - golden()["logits_sample"]).max() <= 1e-3
    np.testing.assert_array_equal(codes[0].numpy(), golden()["code_idx"])
    assert np.abs(dressed[0].numpy() - golden()["adain_feat"]).max() <= 1e-3
    assert_output(plain, "w0")
    assert_output(bridged, "w0p75")


def test_a_fidelity_of_nothing_is_the_same_with_and_without_the_bridges() -> None:
    """As a number it skips them, as a tensor it multiplies them away: the exported graph does the latter."""
    torch.manual_seed(4)
    narrow = CodeFormer(32).eval()
    widths = {"32": 128, "64": 128, "128": 64, "256": 64}
    taps = {side: torch.randn(1, width, int(side), int(side)) for side, width in widths.items()}
    features = torch.randn(1, 256, 16, 16)
    with torch.inference_mode():
        drawn = [narrow.draw(features, taps, share) for share in (0.0, torch.zeros(1, 1, 1, 1))]
    torch.testing.assert_close(drawn[0], drawn[1])


@with_golden
def test_its_graph_gives_what_the_reference_gave(network: CodeFormer, tmp_path: Path) -> None:
    """With the bridges, fidelity as an input; ONNX Runtime adds in another order than torch."""
    export(network, probe(1), RESTORED, tmp_path / GRAPH_NAME, SharedWeights(tmp_path), OPEN)
    given = {PICTURE: picture().numpy(), FIDELITY: np.full((1, 1, 1, 1), 0.75, np.float32)}
    (out,) = OnnxGraph(tmp_path / GRAPH_NAME, placement=Placement(threads=2)).run(given)
    assert_output(torch.from_numpy(out), "w0p75", 3e-4)


@with_golden
def test_names_and_shapes_are_the_checkpoint_s() -> None:
    """Every tensor of the public file and no other."""
    with torch.device("meta"):
        ours = {name: list(value.shape) for name, value in CodeFormer().state_dict().items()}
    assert ours == {entry["name"]: entry["shape"] for entry in schema("codeformer")["tensors"]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a checkpoint"),
        (b"not a checkpoint", "not a checkpoint"),
        ({"params": {}}, KEY),
        ({KEY: {"position_emb": torch.zeros(256, 512)}}, "it lacks"),
        ({KEY: Fraction(1)}, "asks to run"),
    ],
    ids=["empty", "foreign", "key", "weights", "code"],
)
def test_another_file_is_refused_with_a_sentence(tmp_path: Path, content: object, reason: str) -> None:
    """Also one that would run code when it is read: only tensors are."""
    path = tmp_path / "codeformer.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(NetworkError, match=reason) as refused:
        load_codeformer(path)
    assert "models verify codeformer.pth" in refused.value.sentence

"""CodeFormer against the reference network's golden outputs, its weights rebuilt by the fill formula. Needs torch."""

import functools
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from models.convert.codeformer_network import KEY, CodeFormer, load_codeformer
from models.runtime import NetworkError
from tests.asset_frames import GOLDEN, frames, with_golden
from tests.golden_inputs import schema, tensors


@functools.cache
def golden() -> dict[str, np.ndarray]:
    """What the reference gave."""
    return dict(np.load(GOLDEN / "codeformer" / "golden.npz"))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> CodeFormer:
    """Loaded from a checkpoint as the public one is laid out, so that names, shapes and reading are tested too."""
    path = tmp_path_factory.mktemp("weights") / "codeformer.pth"
    weights = {name: torch.from_numpy(np.asarray(value)) for name, value in tensors("codeformer")}
    torch.save({KEY: weights}, path)
    return load_codeformer(path)


@functools.cache
def picture() -> torch.Tensor:
    """The golden input."""
    rgb = np.ascontiguousarray(frames("astronaut.png")[0][..., ::-1].transpose(2, 0, 1)[None], np.float32)
    return torch.from_numpy((rgb / np.float32(255) - np.float32(0.5)) / np.float32(0.5))


def assert_output(out: torch.Tensor, name: str) -> None:
    """The parts of the output that the fixture keeps: a lattice, a patch, the four border lines."""
    got = out[0].numpy()
    assert np.abs(got[:, 3::8, 5::8] - golden()[f"out_{name}_stride8_off3_5"]).max() <= 2e-4
    assert np.abs(got[:, 200:224, 200:224] - golden()[f"out_{name}_patch_y200_x200_24"]).max() <= 2e-4
    edges = np.stack([got[:, 0], got[:, -1], got[:, :, 0], got[:, :, -1]])
    assert np.abs(edges - golden()[f"out_{name}_edges"]).max() <= 2e-4


@with_golden
def test_every_step_is_the_reference_s(network: CodeFormer) -> None:
    """Features, logits, codes, dressed codes, then the picture without and with the bridges, each to its tolerance."""
    with torch.inference_mode():
        features, taps = network.encode(picture())
        logits = network.logits(features)
        codes = logits.argmax(dim=2)
        dressed = network.dressed(codes, features)
        plain, bridged = (network.draw(dressed, taps, fidelity) for fidelity in (0.0, 0.75))
        same = network.draw(dressed, taps, torch.zeros(1, 1, 1, 1))
    assert np.abs(features[0].numpy() - golden()["lq_feat"]).max() <= 1e-3
    assert np.abs(logits[0, golden()["logits_tokens"]].numpy() - golden()["logits_sample"]).max() <= 1e-3
    np.testing.assert_array_equal(codes[0].numpy(), golden()["code_idx"])
    assert np.abs(dressed[0].numpy() - golden()["adain_feat"]).max() <= 1e-3
    assert_output(plain, "w0")
    assert_output(bridged, "w0p75")
    torch.testing.assert_close(same, plain)


@with_golden
def test_the_parts_are_put_together_in_that_order(network: CodeFormer) -> None:
    """One call of the whole network."""
    with torch.inference_mode():
        assert_output(network(picture(), 0.75), "w0p75")


@with_golden
def test_names_and_shapes_are_the_checkpoint_s() -> None:
    """Every tensor of the public file and no other."""
    with torch.device("meta"):
        ours = {name: list(value.shape) for name, value in CodeFormer().state_dict().items()}
    assert ours == {entry["name"]: entry["shape"] for entry in schema("codeformer")["tensors"]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "read"),
        (b"not a checkpoint", "read"),
        ({"params": {}}, KEY),
        ({KEY: {"position_emb": torch.zeros(256, 512)}}, "other weights"),
        ({KEY: np.float64(1)}, "read"),
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

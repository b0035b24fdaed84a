"""Networks as static graphs beside one file of weights."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from models.convert.onnx_export import WEIGHTS_NAME, SharedWeights, export
from models.runtime import OnnxGraph


def network() -> torch.nn.Module:
    """Large enough for its weights to be shared, small biases that stay in the graph."""
    torch.manual_seed(1)
    made = torch.nn.Sequential(torch.nn.Conv1d(8, 64, 5, padding=2), torch.nn.ReLU(), torch.nn.Conv1d(64, 4, 3))
    made.requires_grad_(False)
    return made.eval()


def exported(folder: Path, made: torch.nn.Module, frames: tuple[int, ...]) -> list[Path]:
    """A graph for each length."""
    shared, paths = SharedWeights(folder), [folder / f"{length}.onnx" for length in frames]
    for path, length in zip(paths, frames, strict=True):
        export(made, {"x": torch.zeros(1, 8, length)}, "y", path, shared)
    return paths


def test_a_graph_gives_what_torch_gives(tmp_path: Path) -> None:
    """By the runtime of the calls, weights read from beside the graph."""
    made = network()
    for path, length in zip(exported(tmp_path, made, (10, 20)), (10, 20), strict=True):
        x = torch.randn(1, 8, length)
        [found] = OnnxGraph(path).run({"x": x.numpy()})
        np.testing.assert_allclose(found, made(x).numpy(), atol=1e-6)


def test_the_weights_are_stored_once(tmp_path: Path) -> None:
    """Two graphs are hardly larger than one: each holds its nodes and its small constants."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    exported(one, network(), (10,))
    paths = exported(two, network(), (10, 20))
    assert (two / WEIGHTS_NAME).stat().st_size == (one / WEIGHTS_NAME).stat().st_size > 64 * 8 * 5 * 4
    assert all(path.stat().st_size < 6000 for path in paths)


def test_a_graph_without_its_weights_is_an_error(tmp_path: Path) -> None:
    """They are in the file beside it, not in the graph."""
    [path] = exported(tmp_path, network(), (10,))
    (tmp_path / WEIGHTS_NAME).unlink()
    with pytest.raises(RuntimeError, match="10.onnx"):
        OnnxGraph(path)

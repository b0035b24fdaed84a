"""Networks as static graphs beside one file of weights."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import onnx
import torch

from models.convert.onnx_export import WEIGHTS_NAME, SharedWeights, export
from models.runtime import OnnxGraph

ASKING = {"Shape", "Size", "Range", "ConstantOfShape", "NonZero", "Loop", "If"}
"""Operators that make sizes while a graph runs."""


def operators(path: Path) -> set[str]:
    """Of all nodes."""
    return {node.op_type for node in onnx.load(path, load_external_data=False).graph.node}


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


class Recurrent(torch.nn.Module):  # type: ignore[misc] # torch has no types here
    """A GRU that starts from zeros, as many as there are windows."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.gru = torch.nn.GRU(8, 16, batch_first=True, bidirectional=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.gru(x)
        return hidden


def test_an_open_size_is_not_asked_for_while_the_graph_runs(tmp_path: Path) -> None:
    """Any number of windows, and no node that only a CPU computes: a GPU's session would be refused for it."""
    made, path = Recurrent().eval().requires_grad_(False), tmp_path / "gru.onnx"
    sizes = {"x": {0: "windows"}, "y": {0: "windows"}}
    export(made, {"x": torch.zeros(2, 5, 8)}, "y", path, SharedWeights(tmp_path), sizes)
    assert operators(path) & ASKING == set()
    for windows in (1, 3):
        x = torch.randn(windows, 5, 8)
        [found] = OnnxGraph(path).run({"x": x.numpy()})
        np.testing.assert_allclose(found, made(x).numpy(), atol=1e-6)

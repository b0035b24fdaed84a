"""Half precision where a network bears it: same inputs and outputs, and a gate that sees what a CPU does not show."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import onnx
import torch
from torch import Tensor, nn

from mirage_rtc.voice_commands import run_graph
from models.convert.half_precision import LEAST_COSINE, cosine, halved, rounded, store_half
from models.convert.onnx_export import WEIGHTS_NAME, SharedWeights, export

GIVEN = {"x": np.random.default_rng(1).standard_normal((1, 4, 50), np.float32)}


class Small(nn.Module):  # type: ignore[misc] # torch has no types here
    """What the voice's graphs are made of: convolutions, a norm, a gate, products of two values, a way to the end."""

    def __init__(self, gain: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.rise, self.fall = nn.Conv1d(4, 64, 3, padding=1), nn.Conv1d(64, 6, 1)
        self.norm = nn.LayerNorm(50)
        self.gain, self.offset = gain, offset

    def forward(self, x: Tensor) -> Tensor:
        high = self.rise(x) * self.gain
        attended = torch.softmax(torch.matmul(high, high.transpose(1, 2)) / self.gain**2 / 10, dim=-1)
        mixed = torch.tanh(self.norm(torch.matmul(attended, high / self.gain))) + high / self.gain
        return self.fall(mixed + self.offset) - self.offset * self.fall.weight.sum(dim=1)


def exported(folder: Path, network: nn.Module) -> tuple[Path, SharedWeights]:
    """As an importer does it."""
    path, shared = folder / "graph.onnx", SharedWeights(folder)
    export(network.eval().requires_grad_(False), {"x": torch.zeros(1, 4, 50)}, "y", path, shared)
    return path, shared


def kinds(model: onnx.ModelProto, elem_type: int) -> Counter[str]:
    """Operators of the nodes that give this type."""
    known = onnx.shape_inference.infer_shapes(model).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*known.value_info, *known.output)}
    return Counter(node.op_type for node in known.node if types.get(node.output[0]) == elem_type)


def test_products_go_to_half_and_what_is_sensitive_stays(tmp_path: Path) -> None:
    """Convolutions and matrix products; norm, softmax and tanh keep float32, and so do input and output."""
    path, _ = exported(tmp_path, Small())
    made = halved(onnx.load(path))
    half, full = kinds(made, onnx.TensorProto.FLOAT16), kinds(made, onnx.TensorProto.FLOAT)
    assert half["Conv"] == half["MatMul"] == 2
    assert full["LayerNormalization"] == full["Softmax"] == full["Tanh"] == 1
    assert full["Conv"] == full["MatMul"] == 0
    assert {value.type.tensor_type.elem_type for value in (*made.graph.input, *made.graph.output)} == {1}
    onnx.checker.check_model(made)


def test_a_cast_stands_before_a_transposition_not_between_it_and_a_product() -> None:
    """ONNX Runtime's MatmulTransposeFusion makes a node of the other order that no GPU can run: RMVPE's last layer."""
    nodes = [
        onnx.helper.make_node("Tanh", ["x"], ["bent"]),
        onnx.helper.make_node("Transpose", ["bent"], ["turned"], perm=[1, 0, 2]),
        onnx.helper.make_node("Transpose", ["turned"], ["back"], perm=[1, 0, 2]),
        onnx.helper.make_node("MatMul", ["back", "w"], ["product"]),
        onnx.helper.make_node("Transpose", ["bent"], ["kept"], perm=[2, 1, 0]),
        onnx.helper.make_node("Exp", ["kept"], ["grown"]),
    ]
    ends = [("product", [2, 4, 8]), ("grown", [8, 4, 2])]
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in ends]
    given = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 4, 8])
    weights = onnx.numpy_helper.from_array(np.ones((8, 8), np.float32), "w")
    graph = onnx.helper.make_graph(nodes, "g", [given], values, [weights])
    made = halved(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8))
    order = [node.op_type for node in made.graph.node]
    assert order == ["Tanh", "Cast", "Transpose", "Transpose", "MatMul", "Transpose", "Exp", "Cast"]
    onnx.checker.check_model(made)


def test_a_network_that_bears_it_is_stored_with_its_figure(tmp_path: Path) -> None:
    """It runs, differs a little, and its numbers take half the room in the file that both share."""
    path, shared = exported(tmp_path, Small())
    before = (tmp_path / WEIGHTS_NAME).stat().st_size
    found = store_half(path, tmp_path / "half.onnx", shared, GIVEN, run_graph)
    assert found.stored
    assert LEAST_COSINE < found.cosine < 1
    assert cosine(run_graph(path, GIVEN), run_graph(tmp_path / "half.onnx", GIVEN)) > LEAST_COSINE
    assert before < (tmp_path / WEIGHTS_NAME).stat().st_size
    assert {file.name for file in tmp_path.iterdir()} == {"graph.onnx", "half.onnx", WEIGHTS_NAME}


@pytest.mark.parametrize("network", [Small(gain=200.0), Small(offset=3000.0)], ids=["overflow", "lost digits"])
def test_a_network_that_does_not_bear_it_is_not_stored(tmp_path: Path, network: nn.Module) -> None:
    """Although ONNX Runtime's CPU computes the mixed graph as if nothing were lost between its nodes."""
    path, shared = exported(tmp_path, network)
    found = store_half(path, tmp_path / "half.onnx", shared, GIVEN, run_graph)
    assert not found.stored
    assert found.cosine < LEAST_COSINE
    assert {file.name for file in tmp_path.iterdir()} == {"graph.onnx", WEIGHTS_NAME}


def test_the_cpu_alone_would_not_have_seen_an_overflow(tmp_path: Path) -> None:
    """The reason for the graph with roundings; the day this fails, the plain comparison is enough."""
    path, _ = exported(tmp_path, Small(gain=200.0))
    (tmp_path / "mixed.onnx").write_bytes(halved(onnx.load(path)).SerializeToString())
    (tmp_path / "rounded.onnx").write_bytes(rounded(onnx.load(path)).SerializeToString())
    assert np.isfinite(run_graph(tmp_path / "mixed.onnx", GIVEN)).all()
    assert not np.isfinite(run_graph(tmp_path / "rounded.onnx", GIVEN)).all()


def test_roundings_change_nothing_else(tmp_path: Path) -> None:
    """With numbers that half precision holds exactly, the rounded graph gives the same bits."""
    network = nn.Conv1d(4, 8, 1, bias=False)
    network.weight.data = torch.randint(-8, 9, network.weight.shape).float()
    path, _ = exported(tmp_path, network)
    whole = {"x": np.rint(4 * GIVEN["x"])}
    (tmp_path / "rounded.onnx").write_bytes(rounded(onnx.load(path)).SerializeToString())
    np.testing.assert_array_equal(run_graph(tmp_path / "rounded.onnx", whole), run_graph(path, whole))


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [([1, 0], [1, 0], 1.0), ([1, 0], [0, 1], 0.0), ([1, 1], [np.nan, 1], 0.0), ([0, 0], [1, 1], 0.0)],
)
def test_the_cosine_of_nonsense_is_0(one: list[float], other: list[float], wanted: float) -> None:
    """Nothing that is not finite, nor silence, passes for alike."""
    first, second = (np.array(values, np.float32) for values in (one, other))
    assert cosine(first, second) == pytest.approx(wanted)

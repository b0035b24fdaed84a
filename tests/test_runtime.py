"""The runtimes: LiteRT with Google's own networks, ONNX Runtime with graphs made here."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from models import runtime
from models.catalog import FACE_LANDMARKS
from models.model_spec import GraphContract, TensorSpec
from models.placement import ORT_NAMES
from models.runtime import LiteRTNetwork, NetworkError, OnnxGraph, Placement, Provider, SessionRefused
from tests.model_store import model_store
from tests.onnx_writer import GraphWriter, affine_picture

PICTURE = TensorSpec(name="x", shape=(1, 3, 8, 8))
CONTRACT = GraphContract(inputs=(PICTURE,), outputs=(TensorSpec(shape=(None, 3, None, 8)),))
PICTURE_OUT = TensorSpec(shape=(None, 3, None, None))
ONES, RAMP = np.ones((3, 8, 8), np.float32), np.arange(192, dtype=np.float32).reshape(3, 8, 8)


def test_shapes_are_known_and_outputs_come_by_name() -> None:
    """Callers find an output by its shape and then ask for it by name."""
    network = LiteRTNetwork(model_store().path(FACE_LANDMARKS))
    assert network.input_shape == (1, 192, 192, 3)
    outputs = network.run(np.zeros(network.input_shape, np.float32))
    assert {name: out.shape for name, out in outputs.items()} == network.output_shapes
    assert sorted(out.size for out in outputs.values()) == [1, 468 * 3]


def test_outputs_stay_as_they_were_when_the_network_runs_again() -> None:
    """LiteRT reuses its buffers; what a caller holds must not change under it."""
    network = LiteRTNetwork(model_store().path(FACE_LANDMARKS))
    first = network.run(np.zeros(network.input_shape, np.float32))
    kept = {name: out.copy() for name, out in first.items()}
    second = network.run(np.random.default_rng(0).random(network.input_shape, np.float32))
    for name, out in first.items():
        np.testing.assert_array_equal(out, kept[name])
    assert any(np.abs(second[name] - kept[name]).max() > 0.1 for name in kept)


@pytest.mark.parametrize("content", [b"", b"not a network at all", None])
def test_a_file_that_is_no_network_is_refused_with_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    """Empty, foreign and absent files."""
    path = tmp_path / "broken.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NetworkError) as refused:
        LiteRTNetwork(path)
    assert "fetch it again" in refused.value.sentence


def test_a_network_with_a_damaged_weight_is_refused_at_load(tmp_path: Path) -> None:
    """The self-check runs the network once: weights that are not numbers must not reach a call."""
    data = bytearray(model_store().path(FACE_LANDMARKS).read_bytes())
    half = len(data) // 8 * 4
    data[half : half + 12_000] = np.full(6_000, np.nan, np.float16).tobytes()
    path = tmp_path / "rotten.tflite"
    path.write_bytes(data)
    with pytest.raises(NetworkError, match="not finite"):
        LiteRTNetwork(path)


@pytest.fixture
def graph_path(tmp_path: Path) -> Path:
    """A sound graph, y = 2 x + ramp."""
    path = tmp_path / "net.onnx"
    path.write_bytes(affine_picture(2 * ONES, RAMP))
    return path


def test_an_onnx_graph_says_what_it_takes_and_computes_it(graph_path: Path) -> None:
    """Outputs belong to the caller: they stay when it runs again."""
    graph = OnnxGraph(graph_path, CONTRACT)
    assert graph.inputs == (PICTURE,)
    assert str(graph.outputs[0]) == "y float32 1x3x8x8"
    (first,) = graph.run({"x": ONES[None]})
    graph.run({"x": 5 * ONES[None]})
    np.testing.assert_array_equal(first[0], 2 * ONES + RAMP)


def test_an_open_batch_is_tried_out_with_one_picture() -> None:
    """Sizes that the graph names instead of fixing are open; the self-test fills them."""
    writer = GraphWriter()
    writer.node("Relu", [writer.input("x", ("N", 3, "H", "W"))], "y")
    writer.output("y", ("N", 3, "H", "W"))
    contract = GraphContract(inputs=(TensorSpec(shape=(1, 3, 64, None)),), outputs=(PICTURE_OUT,), free_px=16)
    graph = OnnxGraph(Path("open.onnx"), contract, content=writer.model())
    assert graph.inputs[0].shape == (None, 3, None, None)
    assert graph.run({"x": np.ones((2, 3, 5, 7), np.float32)})[0].shape == (2, 3, 5, 7)


@pytest.mark.parametrize(
    "contract",
    [
        GraphContract(inputs=(TensorSpec(name="image", shape=(1, 3, 8, 8)),), outputs=CONTRACT.outputs),
        GraphContract(inputs=(TensorSpec(shape=(1, 3, 8, 9)),), outputs=CONTRACT.outputs),
        GraphContract(inputs=(TensorSpec(shape=(3, 8, 8, 1, 1)),), outputs=CONTRACT.outputs),
        GraphContract(inputs=(TensorSpec(shape=(1, 3, 8, 8), dtype="float16"),), outputs=CONTRACT.outputs),
        GraphContract(inputs=(PICTURE, PICTURE), outputs=CONTRACT.outputs),
        GraphContract(inputs=(PICTURE,), outputs=()),
    ],
    ids=["name", "size", "rank", "dtype", "inputs", "outputs"],
)
def test_another_network_is_refused_by_name_expectation_and_command(graph_path: Path, contract: GraphContract) -> None:
    """Each way in which a graph can differ from the contract."""
    with pytest.raises(NetworkError) as refused:
        OnnxGraph(graph_path, contract)
    wanted = " ".join(map(str, contract.inputs)) if contract.outputs else "nothing is expected"
    for word in (str(graph_path), wanted.split(" ")[0], "models verify net.onnx", "models fetch net.onnx"):
        assert word in refused.value.sentence


@pytest.mark.parametrize(
    ("scale", "shift", "fault"),
    [
        (ONES * np.nan, RAMP, "not finite"),
        (ONES * np.inf, RAMP, "not finite"),
        (ONES * 0, ONES, "constant"),
        (ONES * 0, RAMP, "same answer"),
    ],
    ids=["nan", "infinite", "black square", "deaf"],
)
def test_a_network_that_gives_nonsense_is_refused_at_load(scale: np.ndarray, shift: np.ndarray, fault: str) -> None:
    """What half precision on the wrong card looks like; the sentence says which file and what to try."""
    with pytest.raises(NetworkError, match=fault) as refused:
        OnnxGraph(Path("half.onnx"), CONTRACT, content=affine_picture(scale, shift))
    assert "half.onnx" in refused.value.sentence
    assert "full-precision" in refused.value.sentence


@pytest.mark.parametrize("content", [b"", b"not a network at all", None])
def test_a_file_that_is_no_onnx_graph_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """Empty, foreign and absent: the file and the command."""
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NetworkError, match=r"broken\.onnx.* models (verify|fetch) broken\.onnx"):
        OnnxGraph(path, CONTRACT)


def test_a_run_that_fails_is_a_network_error(graph_path: Path) -> None:
    """The lane restarts on it; ONNX Runtime's own classes stay in here."""
    graph = OnnxGraph(graph_path)
    with pytest.raises(NetworkError, match="failed while it ran"):
        graph.run({"x": np.zeros((1, 3, 9, 9), np.float32)})


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_gpu_that_this_runtime_cannot_use_is_an_error_with_the_command(graph_path: Path, provider: Provider) -> None:
    """Never the CPU in silence. The test installation has the CPU's ONNX Runtime."""
    if runtime.available(provider):
        pytest.skip("this ONNX Runtime has the provider")
    with pytest.raises(NetworkError, match=r"pip install '\.\[cuda\]'"):
        OnnxGraph(graph_path, placement=Placement(provider=provider))


def test_a_node_that_falls_back_to_the_cpu_is_an_error_unless_allowed(
    graph_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that takes no node stands for the GPU: refused, and with leave it computes."""
    gpu_that_takes_nothing(monkeypatch)
    with pytest.raises(SessionRefused, match="CPU") as refused:
        OnnxGraph(graph_path, placement=Placement(provider="cuda"))
    assert refused.value.on_cpu
    graph = OnnxGraph(graph_path, CONTRACT, placement=Placement(provider="cuda", allow_cpu_nodes=True))
    np.testing.assert_array_equal(graph.run({"x": ONES[None]})[0][0], 2 * ONES + RAMP)


def test_without_onnx_runtime_the_sentence_names_the_extra(graph_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is imported only here, and only when a graph is opened."""
    monkeypatch.setitem(cast(dict[str, object], sys.modules), "onnxruntime", None)
    assert not runtime.available("cpu")
    with pytest.raises(NetworkError, match=r"pip install '\.\[neural\]'"):
        OnnxGraph(graph_path)


def test_names_of_open_sizes_can_be_given_sizes() -> None:
    """A detector's graph then computes nothing from its shape: on a GPU that part would be left to the CPU."""
    writer = GraphWriter()
    writer.node("Relu", [writer.input("x", (1, 3, "?", "?"))], "y")
    writer.output("y", (1, 3, "?", "?"))
    session = runtime.open_session(Path("open.onnx"), Placement(), content=writer.model(), fixed={"?": 16})
    inputs, outputs = runtime.tensors_of(session)
    assert inputs[0].shape == outputs[0].shape == (1, 3, 16, 16)


def test_a_provider_that_fails_in_a_run_is_not_replaced_by_the_cpu(
    graph_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime's Python class would, and print it: a lost GPU is an error, and the lane starts again."""
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    graph = OnnxGraph(graph_path)

    class Lost:
        """A session whose GPU is gone."""

        def run(self, *_: object) -> None:
            raise native.EPFail("CUDA failure 700")

        def __getattr__(self, name: str) -> Any:
            return lambda *_: False

    monkeypatch.setattr(graph._session, "_sess", Lost())
    with pytest.raises(NetworkError, match="CUDA failure 700"):
        graph.run({"x": ONES[None]})
    assert capfd.readouterr().out == ""


def gpu_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that loads and leaves every node to the CPU stands for the GPU."""
    monkeypatch.setitem(ORT_NAMES, "cuda", "AzureExecutionProvider")
    monkeypatch.setattr(runtime, "providers", lambda placement, _: [(ORT_NAMES[placement.provider], {})])
    monkeypatch.setattr(runtime, "obstacle", lambda provider, device: "")
    if not runtime.available("cuda"):
        pytest.skip("this ONNX Runtime has no provider that takes nothing")


def test_an_optimizer_that_spoils_half_precision_is_off(graph_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU could not load a pitch network in half precision, and with it no imported voice; a CPU's process died."""
    import onnxruntime

    gpu_that_takes_nothing(monkeypatch)
    off: list[Sequence[str]] = []

    class Watched(onnxruntime.InferenceSession):  # type: ignore[misc] # it ships no types
        def __init__(self, *arguments: object, **options: Any) -> None:
            off.append(options["disabled_optimizers"])
            super().__init__(*arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Watched)
    OnnxGraph(graph_path, placement=Placement(provider="cuda", allow_cpu_nodes=True))
    OnnxGraph(graph_path)
    assert list(map(list, off)) == [["MatmulTransposeFusion"]] * 2


def test_a_gpu_that_runs_nothing_is_said_before_any_network_is_blamed(
    graph_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without CUDA's libraries every network is refused, for nodes that only the CPU took: no help to anybody."""
    gpu_that_takes_nothing(monkeypatch)
    monkeypatch.setattr(runtime, "obstacle", lambda provider, device: f"{provider} {device} lacks libcudnn")
    with pytest.raises(NetworkError, match="cuda 1 lacks libcudnn"):
        OnnxGraph(graph_path, placement=Placement(provider="cuda", device=1))

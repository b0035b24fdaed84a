"""Whether a provider of ONNX Runtime runs anything here: real sessions, of a provider that stands for a GPU's."""

from collections.abc import Iterator
from typing import Any

import pytest

from models import onnx_provider
from models.onnx_provider import ONE_NODE, available, cuda_version, obstacle, still_runs, usable
from models.placement import ORT_NAMES, Placement, providers
from tests.onnx_writer import GraphWriter

onnxruntime = pytest.importorskip("onnxruntime")
OTHER = "AzureExecutionProvider"
"""It loads everywhere, and leaves every node to the CPU."""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What was found in other tests, and what these find; `preload_dlls` finds all it looks for."""
    _forget()
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    yield
    _forget()


def _forget() -> None:
    onnx_provider._gpu_obstacle.cache_clear()
    onnx_provider._preload.cache_clear()


def gpu(monkeypatch: pytest.MonkeyPatch, *, taken_by: str = OTHER) -> list[Placement]:
    """An ONNX Runtime built with CUDA, whose sessions are taken by another provider; the placements it is asked for."""
    asked: list[Placement] = []

    def listed(placement: Placement, shapes: object) -> list[tuple[str, dict[str, str]]]:
        asked.append(placement)
        return [(taken_by, {})]

    if OTHER not in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has no provider that takes nothing")
    monkeypatch.setitem(ORT_NAMES, "cuda", OTHER)
    monkeypatch.setattr(onnx_provider, "providers", listed)
    return asked


def test_the_network_of_one_node_is_one() -> None:
    """As our writer writes it; the bytes are in the source, since the writer belongs to the tests."""
    writer = GraphWriter()
    writer.node("Relu", [writer.input("x", (1,))], "y")
    writer.output("y", (1,))
    assert writer.model() == ONE_NODE


def test_a_provider_that_runs_one_node_is_usable_and_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With leave to use the CPU, for it is to be seen who took it; each device for itself."""
    asked = gpu(monkeypatch)
    assert [usable("cuda"), usable("cuda"), obstacle("cuda", 1)] == [True, True, ""]
    assert [placement.device for placement in asked] == [0, 1]
    assert usable("cpu")


def test_a_provider_that_does_not_load_is_not_usable_though_it_is_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime takes the CPU in silence: what its loader missed is told, with CUDA's version and the command."""
    gpu(monkeypatch, taken_by="CPUExecutionProvider")
    monkeypatch.setattr(onnxruntime, "cuda_version", "13.0", raising=False)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("no libcublas.so.13\nread the guide"), raising=False)  # noqa: T201
    found = obstacle("cuda")
    assert (available("cuda"), usable("cuda")) == (True, False)
    for words in ("cuda was asked for", "(no libcublas.so.13)", "'.[cuda]'` brings CUDA 13 and cuDNN", "nvidia-smi"):
        assert words in found
    out, err = capsys.readouterr()
    assert (out, err) == ("", "no libcublas.so.13\nread the guide\n")


def test_a_device_that_fails_is_not_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The libraries are there, and no GPU."""
    gpu(monkeypatch)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    assert "(CUDA failure 100: no CUDA-capable device is detected)" in obstacle("cuda")


def test_tensorrt_is_loaded_and_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine for one node takes seconds, of every start."""
    seen: list[list[tuple[str, dict[str, str]]]] = []

    class Session:
        def __init__(self, *_: object, **options: Any) -> None:
            seen.append(options["providers"])

        def run(self, *_: object) -> None:
            """Nothing."""

        def get_providers(self) -> list[str]:
            return ["CUDAExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["TensorrtExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    assert "TensorRT 10" in obstacle("tensorrt")
    tensorrt, cuda = seen[0]
    assert tensorrt[1] == {**providers(Placement(provider="tensorrt"))[0][1], "trt_min_subgraph_size": "2"}
    assert cuda == providers(Placement(provider="tensorrt"))[1]


def test_what_is_not_built_in_has_the_command() -> None:
    """The test installation has the CPU's ONNX Runtime."""
    if available("cuda"):
        pytest.skip("this ONNX Runtime has the provider")
    assert "pip install '.[cuda]'" in obstacle("cuda")
    assert not usable("cuda")


def test_cuda_s_libraries_are_loaded_once_and_nothing_comes_to_stdout(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Out of their wheels; the server's standard output holds its link alone."""
    loads: list[int] = []

    def preload() -> None:
        loads.append(1)
        print("Failed to load libcudnn")  # noqa: T201

    gpu(monkeypatch)
    monkeypatch.setattr(onnxruntime, "preload_dlls", preload, raising=False)
    assert [usable("cuda"), usable("cuda"), obstacle("cuda", 1)] == [True, True, ""]
    assert len(loads) == 1
    out, err = capfd.readouterr()
    assert (out, "libcudnn" in err) == ("", True)


@pytest.mark.parametrize(
    ("said", "runs"),
    [
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0", False),
        ("CUDA failure 2: out of memory ; GPU=0", True),
        ("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 256", True),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", True),
    ],
)
def test_a_gpu_that_runs_nothing_any_more_is_lost_and_one_without_room_is_not(
    monkeypatch: pytest.MonkeyPatch, said: str, runs: bool
) -> None:
    """Asked anew each time: it was usable once."""
    gpu(monkeypatch)
    assert [usable("cuda"), still_runs("cuda")] == [True, True]

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    assert [usable("cuda"), still_runs("cuda")] == [True, runs]


def test_a_gpu_that_leaves_everything_to_the_cpu_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """In silence, as ONNX Runtime does where a library does not load."""
    gpu(monkeypatch, taken_by="CPUExecutionProvider")
    assert not still_runs("cuda")


def test_the_cuda_that_it_was_built_for_is_told_where_it_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's has none, and says so in several ways."""
    for version in ("", None):
        monkeypatch.setattr(onnxruntime, "cuda_version", version, raising=False)
        assert cuda_version() == ""
    monkeypatch.setattr(onnxruntime, "cuda_version", "13.0", raising=False)
    assert cuda_version() == "13.0"

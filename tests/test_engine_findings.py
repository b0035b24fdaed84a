"""What the doctor says of the engines, the runtime and the card, on machines of several kinds."""

import importlib.metadata
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import pytest

from mirage_rtc import engine_findings
from mirage_rtc.config import Config, load
from mirage_rtc.engine_findings import examine
from mirage_rtc.finding import Finding
from models import engine_cache, gpu_status, runtime
from models.gpu_status import GpuDevice

CARD = GpuDevice(name="NVIDIA A10G", capability="8.6", total_bytes=24 << 30, driver="580.1")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No card, no driver, the CPU's ONNX Runtime, the headless OpenCV."""
    machine(monkeypatch)


def machine(
    monkeypatch: pytest.MonkeyPatch,
    *,
    card: GpuDevice | None = None,
    listed: Sequence[str] = ("cpu",),
    installed: Sequence[str] = ("onnxruntime",),
    driver: str | None = None,
    tensorrt: str = "",
    runs: Sequence[str] | None = None,
) -> None:
    """As the parts of the machine would answer; `runs` are the providers that run something, all that are listed."""
    usable = listed if runs is None else runs
    monkeypatch.setattr(gpu_status, "device", lambda: card)
    monkeypatch.setattr(runtime, "available", lambda provider: provider in listed)
    monkeypatch.setattr(runtime, "obstacle", lambda provider: "" if provider in usable else f"no {provider} here.")
    monkeypatch.setattr(engine_cache, "tensorrt_version", lambda: tensorrt)
    monkeypatch.setattr(shutil, "which", lambda name: driver)
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: iter([name] if name in installed else ()))


def configuration(folder: Path, **environ: str) -> Config:
    """With a data directory of its own."""
    return load(None, {"MIRAGE_DATA_DIR": str(folder), **environ})


def found(config: Config, start: str) -> Finding:
    """The finding that begins so."""
    return next(finding for finding in examine(config) if finding.what.startswith(start))


def test_a_machine_without_a_gpu_needs_nothing(tmp_path: Path) -> None:
    """All is well, the embedded engine is named with the reason, and nothing is made."""
    findings = list(examine(configuration(tmp_path / "data")))
    assert {finding.grade for finding in findings} == {"ok"}
    assert not (tmp_path / "data").exists()
    face = found(configuration(tmp_path), "face engine")
    assert "embedded" in face.what
    assert "models fetch inswapper_128_fp16.onnx" in face.what
    assert (
        "the configuration asks for it"
        in found(configuration(tmp_path, MIRAGE_FACE_ENGINE="embedded"), "face engine").what
    )


def test_the_neural_engine_that_was_asked_for_and_cannot_run_is_a_note(tmp_path: Path) -> None:
    """With what is missing and what to do."""
    face = found(configuration(tmp_path, MIRAGE_FACE_ENGINE="neural"), "face engine")
    assert face.grade == "note"
    assert "models fetch inswapper_128_fp16.onnx" in face.what
    assert face.mend


def test_the_neural_engine_is_named_with_what_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the lane itself decides it."""
    asked: list[Any] = []

    def planned(*question: Any) -> tuple[str, str]:
        asked.append(question)
        return "neural", "inswapper_128_fp16.onnx on tensorrt"

    monkeypatch.setattr(engine_findings, "planned_engine", planned)
    face = found(configuration(tmp_path, MIRAGE_GPU_RUNTIME="tensorrt", MIRAGE_FACE_MASKS="both"), "face engine")
    assert face.what.startswith("face engine: neural, inswapper_128_fp16.onnx on tensorrt")
    ((choice, root, _, options),) = asked
    assert (choice, root, options.gpu_runtime, options.masks) == ("auto", str(tmp_path / "models"), "tensorrt", "both")


def test_a_gpu_is_named_with_its_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what the runtime can do with it."""
    machine(monkeypatch, card=CARD, listed=("cpu", "cuda", "tensorrt"), installed=("onnxruntime-gpu",))
    config = configuration(tmp_path)
    assert found(config, "GPU").what == "GPU: NVIDIA A10G, 24 GiB, CUDA 8.6, driver 580.1"
    assert found(config, "ONNX").what.endswith("with cpu, cuda, tensorrt")
    assert {finding.grade for finding in examine(config)} == {"ok"}


def test_a_gpu_that_nobody_uses_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's ONNX Runtime on a machine with a card, the GPU's without CUDA; a driver without a card that answers."""
    machine(monkeypatch, card=CARD)
    idle = found(configuration(tmp_path), "the GPU is idle")
    assert (idle.grade, "'.[cuda]'" in idle.mend) == ("note", True)
    machine(monkeypatch, card=CARD, listed=("cpu", "cuda"), runs=("cpu",))
    broken = found(configuration(tmp_path), "the GPU is idle")
    assert (broken.grade, broken.mend) == ("note", "no cuda here.")
    machine(monkeypatch, driver="/usr/bin/nvidia-smi")
    silent = found(configuration(tmp_path), "GPU: none")
    assert (silent.grade, "nvidia-smi" in silent.mend) == ("note", True)


def test_two_runtimes_under_one_name_are_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever was installed last has the files: a GPU would lie idle in silence."""
    machine(monkeypatch, installed=("onnxruntime", "onnxruntime-gpu"))
    both = found(configuration(tmp_path), "ONNX")
    assert (both.grade, "pip uninstall onnxruntime onnxruntime-gpu" in both.mend) == ("note", True)


def test_a_runtime_that_is_absent_or_broken_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note only where somebody asked for what needs it, or installed it."""
    machine(monkeypatch, listed=(), installed=())
    assert found(configuration(tmp_path), "ONNX Runtime: none").grade == "ok"
    asked = found(configuration(tmp_path, MIRAGE_FACE_ENGINE="neural"), "ONNX Runtime: none")
    assert (asked.grade, "'.[neural]'" in asked.mend) == ("note", True)
    machine(monkeypatch, listed=())
    assert found(configuration(tmp_path), "onnxruntime does not import").grade == "note"


def test_tensorrt_is_looked_for_when_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime lists its provider without NVIDIA's library, and would take CUDA."""
    config = configuration(tmp_path, MIRAGE_GPU_RUNTIME="tensorrt")
    machine(monkeypatch, card=CARD, listed=("cpu", "cuda", "tensorrt"), installed=("onnxruntime-gpu",))
    missing = found(config, "TensorRT")
    assert (missing.grade, "libnvinfer" in missing.what) == ("note", True)
    assert not any("TensorRT" in finding.what for finding in examine(configuration(tmp_path)))
    machine(monkeypatch, card=CARD, listed=("cpu", "cuda"), installed=("onnxruntime-gpu",), tensorrt="101300")
    assert "no provider" in found(config, "TensorRT").what
    machine(monkeypatch, card=CARD, listed=("cpu", "tensorrt"), installed=("onnxruntime-gpu",), tensorrt="101300")
    assert found(config, "TensorRT 101300").grade == "ok"
    everything = ("cpu", "cuda", "tensorrt")
    machine(monkeypatch, card=CARD, listed=everything, runs=("cpu", "cuda"), tensorrt="110400")
    assert "cannot load it" in found(config, "TensorRT").what
    assert "no tensorrt here." in found(config, "TensorRT").mend


def test_an_opencv_with_a_gui_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another distribution took the module; the mend names both."""
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                           QT5\n")
    machine(monkeypatch, installed=("onnxruntime", "opencv-python"))
    finding = found(configuration(tmp_path), "OpenCV")
    assert (finding.grade, "GUI: QT5 beside opencv-python" in finding.what) == ("note", True)
    assert "pip uninstall opencv-python opencv-python-headless" in finding.mend

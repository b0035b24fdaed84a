"""What NVIDIA's management library says, and that what it does not say is absent, not zero."""

import os
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from models import gpu_status
from models.gpu_status import REPORT_EVERY_S, GpuDevice, GpuMemory, MemoryWatch


class Nvml:
    """As much of `pynvml` as is asked, for one card."""

    class NVMLError(Exception):
        """What it raises."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def _answer(self, name: str, default: Any) -> Any:
        if self._answers.get(name) == "fails":
            raise self.NVMLError
        return self._answers.get(name, default)

    def nvmlInit(self) -> None:
        self._answer("init", None)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index:
            raise self.NVMLError
        return index

    def nvmlDeviceGetName(self, handle: int) -> Any:
        return self._answer("name", "NVIDIA A10G")

    def nvmlDeviceGetCudaComputeCapability(self, handle: int) -> tuple[int, int]:
        return 8, 6

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.1"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(total=24 << 30, used=3 << 30)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> Any:
        return self._answer("processes", [SimpleNamespace(pid=os.getpid(), usedGpuMemory=2 << 30)])


def install(monkeypatch: pytest.MonkeyPatch, nvml: Nvml | None) -> None:
    """Let it be what is imported; None: it is not installed."""
    monkeypatch.setitem(cast(dict[str, Any], sys.modules), "pynvml", nvml)


def test_a_machine_without_the_library_a_driver_or_the_card_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made up, and nothing raised."""
    install(monkeypatch, None)
    assert (gpu_status.device(), gpu_status.memory()) == (None, None)
    install(monkeypatch, Nvml(init="fails"))
    assert (gpu_status.device(), gpu_status.memory()) == (None, None)
    install(monkeypatch, Nvml())
    assert (gpu_status.device(3), gpu_status.memory(3)) == (None, None)


def test_a_card_is_named_and_its_memory_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole card and this process' share; names came as bytes once."""
    install(monkeypatch, Nvml(name=b"NVIDIA A10G"))
    wanted = GpuDevice(name="NVIDIA A10G", capability="8.6", total_bytes=24 << 30, driver="580.1")
    assert gpu_status.device() == wanted
    assert gpu_status.memory() == GpuMemory(total=24 << 30, used=3 << 30, process=2 << 30)


@pytest.mark.parametrize(
    "processes", [[], [SimpleNamespace(pid=1, usedGpuMemory=5)], [SimpleNamespace(pid=os.getpid(), usedGpuMemory=None)]]
)
def test_a_share_that_the_driver_does_not_tell_is_absent(monkeypatch: pytest.MonkeyPatch, processes: list[Any]) -> None:
    """In a container the driver knows other process numbers."""
    install(monkeypatch, Nvml(processes=processes))
    found = gpu_status.memory()
    assert found is not None
    assert found.process is None


def test_pytorch_tells_its_own_share_where_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it reserved and does not use is fragmentation; it is never loaded to be asked."""
    install(monkeypatch, Nvml())
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    found = gpu_status.memory()
    assert found is not None
    assert (found.allocated, found.fragmentation, "torch" in sys.modules) == (None, None, False)
    cuda = SimpleNamespace(
        is_initialized=lambda: True, memory_allocated=lambda index: 300, memory_reserved=lambda index: 400
    )
    monkeypatch.setitem(cast(dict[str, Any], sys.modules), "torch", SimpleNamespace(cuda=cuda))
    found = gpu_status.memory()
    assert found is not None
    assert (found.allocated, found.reserved) == (300, 400)
    assert found.fragmentation == pytest.approx(0.25)


def test_figures_come_at_a_low_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer of a lane could carry them; one in five seconds does."""
    install(monkeypatch, Nvml())
    now_s = [0.0]
    watch = MemoryWatch(lambda: now_s[0])
    given = []
    for now_s[0] in (0.0, 1.0, REPORT_EVERY_S - 0.1, REPORT_EVERY_S, REPORT_EVERY_S + 1):
        given.append(watch.due() is not None)
    assert given == [True, False, False, True, False]


def test_a_machine_without_figures_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To look for a library in vain takes longer than a frame may be late."""
    asked: list[int] = []
    monkeypatch.setattr(gpu_status, "memory", lambda: asked.append(1))
    now_s = [0.0]
    watch = MemoryWatch(lambda: now_s[0])
    for now_s[0] in (0.0, 10.0, 1e6):
        assert watch.due() is None
    assert len(asked) == 1

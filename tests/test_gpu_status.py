"""What NVIDIA's management library says, and that what it does not say is absent, not zero."""

import ctypes
import os
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from models import gpu_status
from models.gpu_status import ASK_AGAIN_S, REPORT_EVERY_S, GpuDevice, GpuMemory, MemoryWatch


class Nvml:
    """As much of `pynvml` as is asked, for one card, or for those at some places of the bus. A handle is an index."""

    NVML_ERROR_NOT_FOUND = 6

    class NVMLError(Exception):
        """What it raises, with a number."""

    def __init__(self, places: Sequence[bytes] = (b"0000:17:00.0",), **answers: Any) -> None:
        self._answers = answers
        self._places = places

    def _answer(self, name: str, default: Any) -> Any:
        if self._answers.get(name) == "fails":
            raise self.NVMLError
        return self._answers.get(name, default)

    def nvmlInit(self) -> None:
        self._answer("init", None)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index >= len(self._places):
            raise self.NVMLError(self.NVML_ERROR_NOT_FOUND)
        return index

    def nvmlDeviceGetHandleByPciBusId(self, place: bytes) -> int:
        return self._places.index(place)

    def nvmlDeviceGetName(self, handle: int) -> Any:
        return self._answer("name", "NVIDIA A10G")

    def nvmlDeviceGetCudaComputeCapability(self, handle: int) -> tuple[int, int]:
        return 8, 6

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.1"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(total=24 << 30, used=(3 + handle) << 30)

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


def test_a_machine_without_figures_is_asked_again_at_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that is replaced is away for a while; to look for a library in vain takes time from a frame."""
    asked: list[int] = []
    monkeypatch.setattr(gpu_status, "memory", lambda: asked.append(1))
    now_s = [0.0]
    watch = MemoryWatch(lambda: now_s[0])
    for now_s[0] in (0.0, 10.0, ASK_AGAIN_S - 0.1, ASK_AGAIN_S, ASK_AGAIN_S + 10):
        assert watch.due() is None
    assert len(asked) == 2


def test_a_driver_without_a_list_of_processes_tells_the_card_s_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """WSL's, and those of virtual GPUs."""
    install(monkeypatch, Nvml(processes="fails"))
    assert gpu_status.memory() == GpuMemory(total=24 << 30, used=3 << 30)


class Driver:
    """As much of CUDA's driver as is asked: the places of the cards that it counts. 0 is success, as in CUDA."""

    def __init__(self, *places: bytes, fails: str = "") -> None:
        self._places = places
        self._fails = fails

    def cuInit(self, flags: int) -> int:
        return 100 * (self._fails == "init")

    def cuDeviceGet(self, card: Any, index: int) -> int:
        if index >= len(self._places):
            return 101
        card._obj.value = 40 + index  # a handle, and no number
        return 0

    def cuDeviceGetPCIBusId(self, place: Any, chars: int, card: Any) -> int:
        if self._fails == "place":
            return 1
        place.value = self._places[card.value - 40]
        assert chars >= len(place.value) + 1
        return 0


BUS = [b"0000:17:00.0", b"0000:65:00.0", b"0000:CA:00.0"]


@pytest.mark.parametrize(
    ("driver", "cards"),
    [
        (None, [0, 1, 2, None]),
        (Driver(*BUS), [0, 1, 2, None]),
        (Driver(BUS[2], BUS[0]), [2, 0, None]),
        (Driver(), [None]),
        (Driver(*BUS, fails="init"), [None]),
        (Driver(*BUS, fails="place"), [None]),
    ],
)
def test_the_card_is_the_one_that_cuda_means(
    monkeypatch: pytest.MonkeyPatch, driver: Driver | None, cards: list[int | None]
) -> None:
    """CUDA may hide some and count others first; what it does not see has no figures, and never those of another."""
    install(monkeypatch, Nvml(places=BUS))
    monkeypatch.setattr(gpu_status, "_cuda_driver", lambda: driver)
    for index, card in enumerate(cards):
        found = gpu_status.memory(index)
        assert (None if found is None else (found.used >> 30) - 3) == card
        assert (gpu_status.device(index) is None) == (card is None)


def test_a_driver_that_nothing_has_loaded_is_not_loaded_to_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer than a frame; a library that is loaded is found."""
    asked: list[tuple[str, int]] = []

    def opened(name: str, *, mode: int) -> object:
        asked.append((name, mode))
        return ctypes_open(None)

    ctypes_open = ctypes.CDLL
    monkeypatch.setattr(ctypes, "CDLL", opened)
    assert gpu_status._cuda_driver() is not None
    assert asked == [("libcuda.so.1", os.RTLD_NOLOAD | os.RTLD_NOW)]

    def absent(name: str, *, mode: int) -> object:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert gpu_status._cuda_driver() is None

"""What the GPU is and how its memory is used, by NVIDIA's management library: an extra, and absent figures stay absent.

A card is meant by CUDA's number for it, which follows CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER; the library counts
all cards in the order of the PCI bus. CUDA's driver is asked where its card sits, in a process that has it loaded.

ONNX Runtime's Python API has no figures of its arena (1.32: only the C API has AllocatorGetStats), so what this process
reserved on the device stands for it; of what is allocated within, PyTorch tells its own share where it is loaded.
"""

import ctypes
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

REPORT_EVERY_S = 5.0
ASK_AGAIN_S = 60.0
"""After a time without figures: a driver may come back, and to look for one in vain takes a millisecond."""
_BUS_ID_CHARS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuDevice:
    """One card, as its driver names it; `capability` is CUDA's, such as "8.6"."""

    name: str
    capability: str
    total_bytes: int
    driver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuMemory:
    """Bytes on one card. `process` is this process' share, None where the driver does not tell (a container's pid).

    `allocated` and `reserved` are PyTorch's allocator's, None where PyTorch is not loaded or not on the GPU.
    """

    total: int
    used: int
    process: int | None = None
    allocated: int | None = None
    reserved: int | None = None

    @property
    def fragmentation(self) -> float | None:
        """The share of what PyTorch reserved that holds nothing, 0 to 1."""
        if not self.reserved or self.allocated is None:
            return None
        return 1.0 - self.allocated / self.reserved


def device(index: int = 0) -> GpuDevice | None:
    """The card, or None: no library, no driver, no such card."""
    nvml = _nvml()
    if nvml is None:
        return None
    try:
        handle = _handle(nvml, index)
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
        return GpuDevice(
            name=_text(nvml.nvmlDeviceGetName(handle)),
            capability=f"{major}.{minor}",
            total_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
            driver=_text(nvml.nvmlSystemGetDriverVersion()),
        )
    except nvml.NVMLError:
        return None


def memory(index: int = 0) -> GpuMemory | None:
    """How the card's memory is used now, or None. Takes about a tenth of a millisecond."""
    nvml = _nvml()
    if nvml is None:
        return None
    try:
        handle = _handle(nvml, index)
        whole = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError:
        return None
    allocated, reserved = _torch_bytes(index)
    return GpuMemory(
        total=int(whole.total),
        used=int(whole.used),
        process=_own_bytes(nvml, handle),
        allocated=allocated,
        reserved=reserved,
    )


class MemoryWatch:
    """Figures at a low rate, for whoever has an occasion to send them; where there are none it asks more seldom."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due_s = float("-inf")

    def due(self) -> GpuMemory | None:
        """The figures, `REPORT_EVERY_S` after the last ones; None in between."""
        now_s = self._clock()
        if now_s < self._due_s:
            return None
        found = memory()
        self._due_s = now_s + (REPORT_EVERY_S if found is not None else ASK_AGAIN_S)
        return found


def _nvml() -> Any:
    """NVIDIA's management library, begun; None where there is none. To begin it again costs nothing."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _handle(nvml: Any, index: int) -> Any:
    """The library's card for CUDA's number. Raises `NVMLError` when there is none."""
    driver = _cuda_driver()
    if driver is None:
        return nvml.nvmlDeviceGetHandleByIndex(index)
    card, place = ctypes.c_int(), ctypes.create_string_buffer(_BUS_ID_CHARS)
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(card), index):
        raise nvml.NVMLError(nvml.NVML_ERROR_NOT_FOUND)
    if driver.cuDeviceGetPCIBusId(place, _BUS_ID_CHARS, card):
        raise nvml.NVMLError(nvml.NVML_ERROR_NOT_FOUND)
    return nvml.nvmlDeviceGetHandleByPciBusId(place.value)


def _cuda_driver() -> Any:
    """CUDA's driver where something else loaded it, else None: a process that uses no card need not wait for it."""
    loaded_already = getattr(os, "RTLD_NOLOAD", None)
    if loaded_already is None:  # not on Windows, where nobody has run this
        return None
    try:
        return ctypes.CDLL("libcuda.so.1", mode=loaded_already | os.RTLD_NOW)
    except OSError:
        return None


def _own_bytes(nvml: Any, handle: Any) -> int | None:
    """This process' share; WSL and virtual GPUs have no list of processes, and a container's pids are others."""
    try:
        running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:
        return None
    return next((int(one.usedGpuMemory) for one in running if one.pid == os.getpid() and one.usedGpuMemory), None)


def _torch_bytes(index: int) -> tuple[int | None, int | None]:
    """Of PyTorch's allocator, without loading PyTorch for it."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None, None
    return int(torch.cuda.memory_allocated(index)), int(torch.cuda.memory_reserved(index))


def _text(name: Any) -> str:
    """NVML's names were bytes before version 12."""
    return name.decode() if isinstance(name, bytes) else str(name)

"""What the GPU is and how its memory is used, by NVIDIA's management library: an extra, and absent figures stay absent.

ONNX Runtime's Python API has no figures of its arena (1.32: only the C API has AllocatorGetStats), so what this process
reserved on the device stands for it; of what is allocated within, PyTorch tells its own share where it is loaded.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

REPORT_EVERY_S = 5.0


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
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
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
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        whole = nvml.nvmlDeviceGetMemoryInfo(handle)
        running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:
        return None
    own = next((int(one.usedGpuMemory) for one in running if one.pid == os.getpid() and one.usedGpuMemory), None)
    allocated, reserved = _torch_bytes(index)
    return GpuMemory(total=int(whole.total), used=int(whole.used), process=own, allocated=allocated, reserved=reserved)


class MemoryWatch:
    """Figures at a low rate, for whoever has an occasion to send them; a machine without any is asked once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due_s = float("-inf")

    def due(self) -> GpuMemory | None:
        """The figures, `REPORT_EVERY_S` after the last ones; None in between."""
        now_s = self._clock()
        if now_s < self._due_s:
            return None
        found = memory()
        self._due_s = now_s + REPORT_EVERY_S if found is not None else float("inf")
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


def _torch_bytes(index: int) -> tuple[int | None, int | None]:
    """Of PyTorch's allocator, without loading PyTorch for it."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None, None
    return int(torch.cuda.memory_allocated(index)), int(torch.cuda.memory_reserved(index))


def _text(name: Any) -> str:
    """NVML's names were bytes before version 12."""
    return name.decode() if isinstance(name, bytes) else str(name)

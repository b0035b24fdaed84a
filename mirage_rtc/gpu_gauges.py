"""The GPU's memory as Prometheus gauges, a series for each lane that reports it. Part of `metrics`.

What nobody knows has no series: a zero would be a figure.
"""

import contextlib

from prometheus_client import CollectorRegistry, Gauge

from models.gpu_status import GpuMemory

KINDS = ("total", "used", "process", "allocated", "reserved")


class GpuGauges:
    """Bytes and fragmentation by lane."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._bytes = Gauge(
            "mirage_gpu_memory_bytes",
            "Memory of the card: total and used of all, process of this lane; allocated and reserved of PyTorch in it.",
            ["lane", "kind"],
            registry=registry,
        )
        self._fragmentation = Gauge(
            "mirage_gpu_memory_fragmentation",
            "Share of what PyTorch reserved in a lane that holds nothing.",
            ["lane"],
            registry=registry,
        )

    def observe(self, lane: str, memory: GpuMemory) -> None:
        """Show what a lane reported, and no more than that."""
        self.forget(lane)
        for kind in KINDS:
            size: int | None = getattr(memory, kind)
            if size is not None:
                self._bytes.labels(lane, kind).set(size)
        if memory.fragmentation is not None:
            self._fragmentation.labels(lane).set(memory.fragmentation)

    def forget(self, lane: str) -> None:
        """A lane's worker is gone, and its memory with it."""
        for kind in KINDS:
            with contextlib.suppress(KeyError):  # what was not known
                self._bytes.remove(lane, kind)
        with contextlib.suppress(KeyError):
            self._fragmentation.remove(lane)

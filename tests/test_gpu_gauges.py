"""What lanes report of the GPU, as it is scraped."""

from prometheus_client import CollectorRegistry, generate_latest

from mirage_rtc.gpu_gauges import GpuGauges
from models.gpu_status import GpuMemory


def scraped(registry: CollectorRegistry) -> list[str]:
    """The series, without comments."""
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_without_a_gpu_there_are_no_series() -> None:
    """A zero would say that a card has no memory."""
    registry = CollectorRegistry()
    GpuGauges(registry)
    assert scraped(registry) == []


def test_a_lane_s_figures_are_shown_and_unknown_ones_are_not() -> None:
    """ONNX Runtime alone: the card and the process, nothing of PyTorch."""
    registry = CollectorRegistry()
    GpuGauges(registry).observe("face-0", GpuMemory(total=1000, used=300, process=200))
    assert scraped(registry) == [
        'mirage_gpu_memory_bytes{kind="total",lane="face-0"} 1000.0',
        'mirage_gpu_memory_bytes{kind="used",lane="face-0"} 300.0',
        'mirage_gpu_memory_bytes{kind="process",lane="face-0"} 200.0',
    ]


def test_what_was_known_and_is_not_any_more_goes() -> None:
    """PyTorch's share, then none; then the lane is gone, and the other one stays."""
    registry = CollectorRegistry()
    gauges = GpuGauges(registry)
    gauges.observe("face-0", GpuMemory(total=1000, used=300, process=200, allocated=50, reserved=100))
    assert 'mirage_gpu_memory_fragmentation{lane="face-0"} 0.5' in scraped(registry)
    gauges.observe("face-0", GpuMemory(total=1000, used=200))
    assert len(scraped(registry)) == 2
    gauges.observe("voice-0", GpuMemory(total=1000, used=200))
    gauges.forget("face-0")
    assert all('lane="voice-0"' in line for line in scraped(registry))
    assert len(scraped(registry)) == 2

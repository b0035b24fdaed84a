"""The metrics of voices."""

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest

from mirage_rtc.voice_metrics import VoiceMetrics
from mirage_rtc.voice_pipeline import ConvertedHop

HOP = np.zeros(3840, np.float32)


def test_hops_under_the_accept_ratio_are_counted_apart() -> None:
    """0.64 is accepted, 0.66 is not (specification: accept < 0.65)."""
    registry = CollectorRegistry()
    metrics = VoiceMetrics(registry)
    for ratio in (0.64, 0.66):
        metrics.note(ConvertedHop(samples=HOP, cpu_ms=1.0), ratio=ratio, hop_ms=80)
    text = generate_latest(registry).decode()

    assert "mirage_voice_hops_total 2.0" in text
    assert "mirage_voice_hops_accepted_total 1.0" in text
    assert "mirage_voice_ratio_sum 1.3" in text


def test_a_hop_tells_its_engine_length_stages_and_fades() -> None:
    """Each a series of its own, with a closed set of labels."""
    registry = CollectorRegistry()
    metrics = VoiceMetrics(registry)
    hop = ConvertedHop(
        samples=HOP, cpu_ms=1.0, engine="rvc", stage_ms={"encode": 3.0, "f0": 2.0}, seams=2, switched=True
    )
    metrics.note(hop, ratio=0.5, hop_ms=80)
    metrics.backlog_ms.observe(120)
    metrics.fallbacks.labels("slow").inc()
    text = generate_latest(registry).decode()

    for line in (
        'mirage_voice_hop_ms_sum{engine="rvc"} 80.0',
        'mirage_voice_stage_ms_sum{stage="encode"} 3.0',
        'mirage_voice_stage_ms_sum{stage="f0"} 2.0',
        'mirage_voice_fades_total{at="seam"} 2.0',
        'mirage_voice_fades_total{at="switch"} 1.0',
        "mirage_voice_backlog_ms_sum 120.0",
        'mirage_voice_fallbacks_total{reason="slow"} 1.0',
    ):
        assert line in text

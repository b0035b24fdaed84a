"""The server's metrics."""

from prometheus_client import generate_latest

from mirage_rtc.metrics import Metrics


def test_stages_are_labelled() -> None:
    """Each stage and the total have a series of their own."""
    metrics = Metrics()
    metrics.observe_stages("face", {"warp": 3.0}, 9.0)
    text = generate_latest(metrics.registry).decode()

    assert 'mirage_stage_cpu_ms_sum{engine="face",stage="warp"} 3.0' in text
    assert 'mirage_stage_cpu_ms_sum{engine="face",stage="total"} 9.0' in text


def test_two_servers_do_not_share_their_metrics() -> None:
    """Metrics hang on an object, not on the process."""
    one, other = Metrics(), Metrics()
    one.voice.hops.inc()

    assert "mirage_voice_hops_total 0.0" in generate_latest(other.registry).decode()

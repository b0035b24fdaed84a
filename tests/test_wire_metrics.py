"""The wire's own series."""

from prometheus_client import CollectorRegistry, generate_latest

from signaling.protocol import Report
from signaling.wire_metrics import WireMetrics


def test_a_report_counts_what_the_page_measured_and_no_more() -> None:
    """Fields that a page could not measure are null."""
    registry = CollectorRegistry()
    WireMetrics(registry).report(Report(rtt_ms=20, mouth_ms=15, fps_shown=24))
    text = generate_latest(registry).decode()
    assert 'mirage_page_reported_ms_count{what="rtt"} 1.0' in text
    assert 'mirage_page_reported_ms_sum{what="mouth"} 15.0' in text
    assert 'what="glass"' not in text


def test_two_servers_in_one_process_do_not_share_series() -> None:
    """Nothing is registered globally."""
    one, two = CollectorRegistry(), CollectorRegistry()
    WireMetrics(one).sockets.inc()
    WireMetrics(two)
    assert b"mirage_wire_sockets 0.0" in generate_latest(two)

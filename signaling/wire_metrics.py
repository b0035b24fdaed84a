"""What the wire counts, on the prometheus registry handed to `app.build_app`. No label holds anything of a person."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from signaling.protocol import Report

_MS_BUCKETS = (5, 10, 20, 40, 60, 80, 100, 150, 200, 250, 300, 400, 600, 1000, 2000)
_REPORTED_MS = ("rtt_ms", "jitter_video_ms", "jitter_audio_ms", "glass_ms", "mouth_ms")


class WireMetrics:
    """Sockets, messages, refusals, chunks, and what pages report."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Registers its series; a registry takes them once."""
        self.sockets = Gauge("mirage_wire_sockets", "Signalling sockets open now.", registry=registry)
        self.messages = Counter(
            "mirage_wire_messages_total", "Control messages understood, by type.", ["type"], registry=registry
        )
        self.refusals = Counter(
            "mirage_wire_refusals_total", "Requests and messages refused, by code.", ["code"], registry=registry
        )
        self.chunks = Counter(
            "mirage_wire_chunks_total", "Media chunks, by direction and kind.", ["direction", "kind"], registry=registry
        )
        self.chunks_invalid = Counter(
            "mirage_wire_chunks_invalid_total", "Media chunks refused, by code.", ["code"], registry=registry
        )
        self.chunks_dropped = Counter(
            "mirage_wire_chunks_dropped_total",
            "Media chunks skipped because a newer one came or the client reads too slowly, by direction.",
            ["direction"],
            registry=registry,
        )
        self.reported = Histogram(
            "mirage_page_reported_ms",
            "Latencies that pages measured, in ms, by what was measured.",
            ["what"],
            buckets=_MS_BUCKETS,
            registry=registry,
        )

    def report(self, report: Report) -> None:
        """Take over a page's report."""
        for what in _REPORTED_MS:
            value = getattr(report, what)
            if value is not None:
                self.reported.labels(what.removesuffix("_ms")).observe(value)

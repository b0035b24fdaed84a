"""What becomes of voices, as Prometheus metrics: hops by engine, stages, backlog, fades, fall-backs. Part of `metrics`.

Written by `audio_path` and `session`. Every label has a closed set of values, none names a call or a voice.
"""

from prometheus_client import CollectorRegistry, Counter, Histogram

from mirage_rtc.voice_pipeline import ConvertedHop

ACCEPT_RATIO = 0.65
"""A hop whose runtime over real time is below this is accepted (specification, Voice Pipeline)."""
_RATIO_BUCKETS = (0.1, 0.2, 0.28, 0.4, 0.55, 0.65, 0.75, 0.8, 1.0, 1.5, 3.0)
_HOP_BUCKETS_MS = (40, 60, 80, 100, 120, 160, 200)
_STAGE_BUCKETS_MS = (0.5, 1, 2, 3, 5, 8, 12, 18, 25, 35, 50, 80, 120, 250, 500)
_BACKLOG_BUCKETS_MS = (0, 20, 40, 80, 120, 200, 400, 800)


class VoiceMetrics:
    """All series of voices on their way."""

    def __init__(self, registry: CollectorRegistry) -> None:
        take = registry
        self.hops = Counter("mirage_voice_hops", "Hops converted.", registry=take)
        self.hops_accepted = Counter("mirage_voice_hops_accepted", "Hops under ratio 0.65.", registry=take)
        self._ratio = Histogram(
            "mirage_voice_ratio", "Runtime over real time of a hop.", buckets=_RATIO_BUCKETS, registry=take
        )
        self._hop_ms = Histogram(
            "mirage_voice_hop_ms", "Length of the hops in force.", ["engine"], buckets=_HOP_BUCKETS_MS, registry=take
        )
        self._stage_ms = Histogram(
            "mirage_voice_stage_ms",
            "Time of a stage of an imported voice by the clock: encode, f0, convert, post.",
            ["stage"],
            buckets=_STAGE_BUCKETS_MS,
            registry=take,
        )
        self.backlog_ms = Histogram(
            "mirage_voice_backlog_ms", "Sound waiting for the voice.", buckets=_BACKLOG_BUCKETS_MS, registry=take
        )
        self._fades = Counter(
            "mirage_voice_fades", "Cross-fades: at cuts that did not go on, at changes of voice.", ["at"], registry=take
        )
        self.fallbacks = Counter(
            "mirage_voice_fallbacks", "Imported voices given up for the embedded one.", ["reason"], registry=take
        )

    def note(self, converted: ConvertedHop, *, ratio: float, hop_ms: float) -> None:
        """Record one hop, and its runtime over real time."""
        self.hops.inc()
        self.hops_accepted.inc(ratio < ACCEPT_RATIO)
        self._ratio.observe(ratio)
        self._hop_ms.labels(converted.engine).observe(hop_ms)
        self._fades.labels("seam").inc(converted.seams)
        self._fades.labels("switch").inc(converted.switched)
        for stage, took_ms in converted.stage_ms.items():
            self._stage_ms.labels(stage).observe(took_ms)

"""What the server counts, as Prometheus metrics. One per process; rendered by `/metrics`."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mirage_rtc.gpu_gauges import GpuGauges
from mirage_rtc.picture_metrics import PictureMetrics
from mirage_rtc.voice_metrics import VoiceMetrics

_STAGE_BUCKETS_MS = (0.5, 1, 2, 3, 5, 8, 12, 18, 25, 35, 50, 80, 120, 250, 500)
_LAG_BUCKETS_MS = (0.5, 1, 2, 3, 5, 7, 10, 15, 25, 50, 100, 250, 1000)
_LATENCY_BUCKETS_MS = (10, 20, 30, 40, 60, 80, 100, 125, 150, 200, 250, 350, 500, 1000)


class Metrics:
    """All counters of the media side."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        take = self.registry
        self.frames_in = Counter("mirage_video_frames_in", "Raw pictures taken in.", registry=take)
        self.pictures_out = Counter("mirage_video_pictures_out", "Pictures sent.", ["kind"], registry=take)
        self.pictures = PictureMetrics(take)
        self.gpu = GpuGauges(take)
        self.engine_errors = Counter(
            "mirage_engine_errors", "Jobs an engine did not do.", ["engine", "reason"], registry=take
        )
        self.stage_ms = Histogram(
            "mirage_stage_cpu_ms", "CPU ms of a stage.", ["engine", "stage"], buckets=_STAGE_BUCKETS_MS, registry=take
        )
        self.voice = VoiceMetrics(take)
        self.latency_ms = Histogram(
            "mirage_latency_ms",
            "Capture to hand-over to the encoder.",
            ["medium"],
            buckets=_LATENCY_BUCKETS_MS,
            registry=take,
        )
        self.degrades_wanted = Counter(
            "mirage_video_degrade_wanted", "Times the audio led the pictures by over 150 ms.", registry=take
        )
        self.calls = Gauge("mirage_calls", "Calls now.", registry=take)
        self.tasks = Gauge("mirage_tasks", "Tasks of the event loop: grows only where something leaks.", registry=take)
        self.datagrams_refused = Counter(
            "mirage_datagrams_refused", "UDP datagrams of strangers, and malformed ones.", ["reason"], registry=take
        )
        self.lane_starts = Counter("mirage_lane_states", "Lane state changes.", ["lane", "state"], registry=take)
        self.engines = Gauge("mirage_engine", "1 for the engine that a lane runs.", ["lane", "engine"], registry=take)
        self.loop_lag_ms = Histogram(
            "mirage_loop_lag_ms", "Lag of the event loop.", buckets=_LAG_BUCKETS_MS, registry=take
        )

    def observe_stages(self, engine: str, stage_ms: dict[str, float], total_ms: float) -> None:
        """Record one frame's CPU time, by stage and whole."""
        for stage, cpu_ms in stage_ms.items():
            self.stage_ms.labels(engine, stage).observe(cpu_ms)
        self.stage_ms.labels(engine, "total").observe(total_ms)

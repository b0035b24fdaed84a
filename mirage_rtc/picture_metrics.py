"""What becomes of pictures, as Prometheus metrics: time by stage, detections, batches, drops. Part of `metrics`.

Written by `video_path` and the encoder. Every label has a closed set of values, none names a call.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram

_STAGE_BUCKETS_MS = (0.25, 0.5, 1, 2, 3, 5, 8, 12, 18, 25, 35, 50, 80, 120, 250, 500)
_INTERVAL_BUCKETS = (1, 2, 3, 4, 5, 6, 8, 12)
_CONFIDENCE_BUCKETS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
_BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16)
STAGES = (
    *("decode", "queue", "detect", "track", "align", "swap", "enhance", "paste", "encode"),
    *("warp", "matte", "colour", "blend"),
)
"""Those of the neural engine and of the way there and back, then those that only the embedded engine has."""
OTHER = "other"
DROPS = ("decoder_behind", "newer", "expired", "overtaken", "late")
"""Before decoding, before inference (a newer one came; its time passed), before encoding (same), behind the voice."""


class PictureWatch(Protocol):
    """As much of it as those need who decode and encode; to be called from any thread."""

    def stage(self, stage: str, took_ms: float) -> None:
        """One stage of one picture."""

    def dropped(self, reason: str, count: int = 1) -> None:
        """Pictures dropped for one of `DROPS`."""


class PictureMetrics:
    """All series of pictures on their way."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._stage_ms = Histogram(
            "mirage_video_stage_ms",
            "Time of a stage by the clock: queue is all waiting from decoded to the engine.",
            ["stage"],
            buckets=_STAGE_BUCKETS_MS,
            registry=registry,
        )
        self._interval = Histogram(
            "mirage_detector_interval_frames",
            "Frames from one detection to the next.",
            buckets=_INTERVAL_BUCKETS,
            registry=registry,
        )
        self._confidence = Histogram(
            "mirage_face_confidence",
            "Confidence of each face of a frame, carried or detected.",
            buckets=_CONFIDENCE_BUCKETS,
            registry=registry,
        )
        self._batch = Histogram(
            "mirage_face_batch_frames",
            "Frames of several calls that an engine took together, counted by frame.",
            buckets=_BATCH_BUCKETS,
            registry=registry,
        )
        self._dropped = Counter("mirage_video_dropped", "Pictures dropped on purpose.", ["reason"], registry=registry)
        for reason in DROPS:
            self._dropped.labels(reason)

    def stage(self, stage: str, took_ms: float) -> None:
        """One stage of one picture."""
        self._stage_ms.labels(stage if stage in STAGES else OTHER).observe(took_ms)

    def swapped(self, wall_ms: Mapping[str, float], scores: Iterable[float], *, batch: int = 1) -> None:
        """An engine's answer to one frame: its stages, the confidences of its faces, how many frames went with it."""
        for stage, took_ms in wall_ms.items():
            self.stage(stage, took_ms)
        for score in scores:
            self._confidence.observe(score)
        self._batch.observe(batch)

    def detected(self, after_frames: int) -> None:
        """The detector looked, so many frames after it did so last."""
        self._interval.observe(after_frames)

    def dropped(self, reason: str, count: int = 1) -> None:
        """Pictures dropped for one of `DROPS`."""
        self._dropped.labels(reason if reason in DROPS else OTHER).inc(count)

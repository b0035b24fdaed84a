"""The series of pictures on their way."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from mirage_rtc.metrics import Metrics
from mirage_rtc.picture_metrics import DROPS, STAGES, PictureMetrics


def scraped(registry: CollectorRegistry) -> str:
    """As a scraper reads it."""
    return generate_latest(registry).decode()


def test_stages_faces_and_batches_are_counted_by_frame() -> None:
    """Time by the clock of each stage; two faces are two confidences; four frames together are four of four."""
    registry = CollectorRegistry()
    metrics = PictureMetrics(registry)
    for _ in range(4):
        metrics.swapped({"track": 1.5, "swap": 9.0}, [0.91, 0.55], batch=4)
    metrics.stage("encode", 6.0)
    text = scraped(registry)
    assert 'mirage_video_stage_ms_sum{stage="swap"} 36.0' in text
    assert 'mirage_video_stage_ms_count{stage="encode"} 1.0' in text
    assert "mirage_face_confidence_count 8.0" in text
    assert 'mirage_face_confidence_bucket{le="0.6"} 4.0' in text
    assert 'mirage_face_batch_frames_bucket{le="3.0"} 0.0' in text
    assert 'mirage_face_batch_frames_bucket{le="4.0"} 4.0' in text


def test_the_interval_of_detections_is_in_frames() -> None:
    """The specification's five."""
    registry = CollectorRegistry()
    metrics = PictureMetrics(registry)
    metrics.detected(5)
    metrics.detected(1)
    text = scraped(registry)
    assert 'mirage_detector_interval_frames_bucket{le="4.0"} 1.0' in text
    assert 'mirage_detector_interval_frames_bucket{le="5.0"} 2.0' in text


def test_every_reason_to_drop_is_there_from_the_start_and_no_other_label_can_be() -> None:
    """A series that appears with the first drop hides that drop; a name from elsewhere makes no series of its own."""
    registry = CollectorRegistry()
    metrics = PictureMetrics(registry)
    assert all(f'mirage_video_dropped_total{{reason="{reason}"}} 0.0' in scraped(registry) for reason in DROPS)
    metrics.dropped("late", 3)
    metrics.dropped("call 5f2e")
    metrics.stage("call 5f2e", 1.0)
    text = scraped(registry)
    assert 'mirage_video_dropped_total{reason="late"} 3.0' in text
    assert 'mirage_video_dropped_total{reason="other"} 1.0' in text
    assert "5f2e" not in text


def test_the_readme_names_the_series_that_there_are() -> None:
    """Every one of its table exists, and its stages and reasons are those that are counted."""
    text = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
    table = text.split("## Watch it\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`(mirage_\w+)", table))
    exist = {family.name for family in Metrics().registry.collect()}
    assert {name.removesuffix("_total") for name in named} <= exist
    assert len(named) >= 7
    assert all(stage in table for stage in STAGES)
    assert all(reason in table for reason in DROPS)

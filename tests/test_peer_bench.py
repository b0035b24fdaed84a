"""The peer bench's arithmetic: ratios, what counts and what does not; and the face engine that sleeps."""

import numpy as np
import pytest

from models.engines import IdentitySource
from tests.bench.peer_bench import Round, table, verdict, windows
from tests.bench.sleeping_engine import SleepingFaceEngine
from tests.stamped_client import Figures


def _round(video_ms: float, *, late_ms: float = 1.0) -> Round:
    timed = [(float(second), video_ms) for second in range(10)]
    figures = Figures(video_ms=timed, audio_ms=timed, skew_ms=timed, ticker_ms=[late_ms], seconds=10.0, fps=20.0)
    return Round(figures=figures, cpu_percent=video_ms, memory_mib=100.0)


def test_ratios_are_of_medians_and_of_bests() -> None:
    """Ours over theirs, once for each."""
    rounds = {"mirage": [_round(ms) for ms in (20, 30, 60)], "aiortc": [_round(ms) for ms in (50, 60, 90)]}
    lines = [line for line in table(rounds) if line.startswith("ours / aiortc")]
    assert [float(line.split()[3]) for line in lines] == [0.5, 0.4]


def test_a_round_on_a_loaded_machine_is_shown_and_does_not_count() -> None:
    """It is left out of median and best, and the verdict says so."""
    rounds = {"mirage": [_round(20), _round(5, late_ms=9.0)], "aiortc": [_round(50)]}
    printed = table(rounds)
    assert sum("machine too loaded" in line for line in printed) == 1
    assert [line.split()[2] for line in printed if line.startswith("mirage    best")] == ["20.0"]
    assert "1 of 3 rounds DO NOT COUNT" in verdict(rounds)
    assert "All 2 rounds count" in verdict({"mirage": [_round(20)], "aiortc": [_round(50)]})


def test_no_valid_round_gives_no_figure() -> None:
    """Rather than one that cannot be trusted."""
    assert not any(line.startswith("ours") for line in table({"mirage": [_round(5, late_ms=9.0)], "aiortc": []}))


def test_a_delay_that_grows_is_seen_in_its_windows() -> None:
    """Ten seconds each."""
    growing = [(100.0 + step / 10, 40.0 + 10 * (step // 100)) for step in range(300)]
    assert windows(growing) == [40.0, 50.0, 60.0]
    assert windows([]) == []


def test_the_sleeping_engine_changes_no_pixel_and_keeps_the_badge_off_the_bar_code() -> None:
    """A frame comes back as it went, its face across the top."""
    engine = SleepingFaceEngine(work_ms=1.0)
    wearer = engine.open(max_faces=1)
    wearer.wear(engine.prepare(IdentitySource(kind="mask", name="a")))
    frame = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    swap = wearer.swap(frame.copy(), 0.0)
    assert np.array_equal(swap.frame, frame)
    assert swap.faces[0].swapped
    assert (swap.faces[0].width_px, swap.faces[0].y_px) == (512, 0)
    assert swap.faces[0].height_px == pytest.approx(64)

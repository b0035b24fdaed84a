"""What a stage costs."""

import time

import numpy as np
import pytest

from models.stage_watch import StageWatch


def test_a_stage_met_twice_adds_up() -> None:
    """Every mark takes the time since the one before; names are those that were marked."""
    watch = StageWatch()
    np.linalg.svd(np.ones((80, 80)))
    watch.mark("swap")
    once = watch.stage_ms["swap"]
    watch.mark("paste")
    np.linalg.svd(np.ones((80, 80)))
    watch.mark("swap")
    assert set(watch.stage_ms) == {"swap", "paste"}
    assert watch.stage_ms["swap"] > once > 0
    assert watch.wall_ms["swap"] > 0


def test_a_run_for_several_frames_costs_a_share_and_takes_its_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what other frames did meanwhile is nobody's stage here."""
    clock_s = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock_s[0])
    watch = StageWatch()
    watch.add("swap", 2.0, 8.0)
    watch.add("swap", 1.0, 4.0)
    assert (watch.stage_ms, watch.wall_ms) == ({"swap": 3.0}, {"swap": 12.0})
    np.linalg.svd(np.ones((200, 200)))
    clock_s[0] = 5.0
    watch.resume()
    clock_s[0] = 5.5
    watch.mark("paste")
    assert watch.wall_ms["paste"] == 500

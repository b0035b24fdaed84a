"""What a stage costs."""

import numpy as np

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

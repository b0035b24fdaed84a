"""When faces can be followed from frame to frame."""

import numpy as np

from models.frame_continuity import FrameContinuity, Step


def frame(width_px: int = 64, height_px: int = 48) -> np.ndarray:
    """A black picture."""
    return np.zeros((height_px, width_px, 3), np.uint8)


def test_a_steady_stream_is_continuous() -> None:
    """From the first frame on, up to half a second apart."""
    continuity = FrameContinuity()
    assert [continuity.step(frame(), at_s) for at_s in (0.0, 0.04, 0.5, 1.0)] == [Step()] * 4


def test_a_pause_another_size_and_time_running_back_break_it() -> None:
    """The new size comes with its scale, and is the size from then on."""
    continuity = FrameContinuity()
    continuity.step(frame(), 0.0)
    assert continuity.step(frame(), 0.51) == Step(broken=True)
    assert continuity.step(frame(128, 24), 0.6) == Step(broken=True, scale=(2.0, 0.5))
    assert continuity.step(frame(128, 24), 0.7) == Step()
    assert continuity.step(frame(128, 24), 0.6) == Step(rewound=True)

"""Whether a frame follows the one before, so that faces can be followed into it. One a call, for the face trackers."""

from dataclasses import dataclass

from models.engines import Frame

_MAX_GAP_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From one frame to the next: `rewound` in time, `broken` by a pause or another size; the scale of that size."""

    rewound: bool = False
    broken: bool = False
    scale: tuple[float, float] = (1.0, 1.0)


class FrameContinuity:
    """Remembers the size and time of the last frame of one call."""

    def __init__(self) -> None:
        self._last: tuple[int, int, float] | None = None

    def step(self, frame: Frame, time_s: float) -> Step:
        """Take the next frame (height, width, 3), captured at `time_s`; the first one follows from nothing."""
        height_px, width_px = frame.shape[:2]
        before, self._last = self._last, (width_px, height_px, time_s)
        if before is None:
            return Step()
        if time_s < before[2]:
            return Step(rewound=True)
        scale = width_px / before[0], height_px / before[1]
        return Step(broken=scale != (1.0, 1.0) or time_s - before[2] > _MAX_GAP_S, scale=scale)

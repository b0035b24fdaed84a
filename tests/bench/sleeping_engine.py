"""Our server with a face engine that takes its time and no CPU, as one on a GPU does.

`python -m tests.bench.sleeping_engine WORK_MS serve ...` is `python -m mirage_rtc serve ...` with that engine in its
face lane. For `peer_bench --work-ms`; `lane_bench` takes the one that sleeps less when frames come together.
"""

import functools
import sys
import time
from collections.abc import Sequence
from typing import Any

import mirage_rtc.__main__ as composition
from mirage_rtc.config import Config
from mirage_rtc.lane_worker import LaneSpec
from models.engines import FaceBox, Frame, IdentitySource, Swap, SwapRequest


class SleepingWearer:
    """Gives each frame back as it came, later."""

    def __init__(self, work_s: float) -> None:
        self._work_s = work_s

    def wear(self, identity: Any) -> None:
        """Any identity looks alike."""

    def swap(self, frame: Frame, time_s: float) -> Swap:
        """The frame. Its face is where the bar code is, so that the badge goes elsewhere."""
        time.sleep(self._work_s)
        width_px, band_px = frame.shape[1], frame.shape[0] // 8
        face = FaceBox(x_px=0, y_px=0, width_px=width_px, height_px=band_px, score=1.0, swapped=True)
        return Swap(frame=frame, faces=(face,), stage_ms={"sleep": self._work_s * 1000.0})


class SleepingFaceEngine:
    """Takes any identity."""

    name = "sleeping"

    def __init__(self, *, work_ms: float) -> None:
        self._work_s = work_ms / 1000.0

    def prepare(self, source: IdentitySource) -> str:
        """Its name is all that is needed."""
        return source.name

    def open(self, *, max_faces: int) -> SleepingWearer:
        """A wearer of its own."""
        return SleepingWearer(self._work_s)


class BatchSleepingEngine:
    """Takes `run_ms` a run and `frame_ms` for each frame in it, up to `batch_max` of them."""

    name = "sleeping in batches"

    def __init__(self, *, run_ms: float, frame_ms: float, batch_max: int) -> None:
        self.batch_max = batch_max
        self._run_ms, self._frame_ms = run_ms, frame_ms

    def prepare(self, source: IdentitySource) -> str:
        """Its name is all that is needed."""
        return source.name

    def open(self, *, max_faces: int) -> SleepingWearer:
        """A wearer that takes the time of a run of its own."""
        return SleepingWearer((self._run_ms + self._frame_ms) / 1000.0)

    def swap_batch(self, requests: Sequence[SwapRequest]) -> list[Swap | Exception]:
        """All frames, after the time of one run."""
        time.sleep((self._run_ms + self._frame_ms * len(requests)) / 1000.0)
        awake = SleepingWearer(0.0)
        return [awake.swap(request.frame, request.time_s) for request in requests]


def face_lane(work_ms: float, settings: Config) -> LaneSpec:
    """The lane that the composition root starts instead of its own."""
    return LaneSpec(
        engine="tests.bench.sleeping_engine:SleepingFaceEngine",
        pipeline="mirage_rtc.swap_pipeline:SwapPipeline",
        arguments={"work_ms": work_ms},
    )


if __name__ == "__main__":
    setattr(composition, "_face", functools.partial(face_lane, float(sys.argv[1])))  # noqa: B010 - mypy refuses it
    sys.exit(composition.main(sys.argv[2:]))

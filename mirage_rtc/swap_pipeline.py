"""One frame, start to end, in the face lane: colour in, the engine's swap, colour out. Pure and synchronous.

`inference` sends the jobs below; `video_path` never sees anything but their answers. Per-call state (tracks, filters)
lives here and is pinned to this lane until `CloseFace`.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.engines import FaceBox, FaceEngine, FaceWearer, Frame, IdentitySource

PREPARED_IDENTITIES = 16
"""Identities kept prepared; the one used longest ago goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFace:
    """Make room for a call; it wears `identity` (None: every face is blurred)."""

    call_id: str
    max_faces: int
    identity: IdentitySource | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareIdentity:
    """Prepare an identity ahead of its first use: a mask takes a second, in which every call would stand still."""

    identity: IdentitySource


@dataclass(frozen=True, slots=True, kw_only=True)
class WearFace:
    """Change the identity of a call from its next frame on."""

    call_id: str
    identity: IdentitySource | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapFrame:
    """Swap one I420 picture, (height * 3 // 2, width) uint8, captured at `time_s`."""

    call_id: str
    i420: NDArray[np.uint8]
    time_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SwappedFrame:
    """The answer to SwapFrame. `cpu_ms` is the lane thread's CPU time over it, colour included."""

    i420: NDArray[np.uint8]
    faces: tuple[FaceBox, ...]
    stage_ms: dict[str, float]
    cpu_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectPortrait:
    """Raises PortraitError in the lane when the portrait cannot become an identity."""

    portrait: Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetIdentity:
    """Drop whatever was prepared of the identity of this name."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseFace:
    """Forget a call."""

    call_id: str


class SwapPipeline:
    """The face engine's calls and identities."""

    def __init__(self, engine: FaceEngine) -> None:
        cv2.setNumThreads(1)  # the lane is one core's worth: more threads would race the encoders
        self._engine = engine
        self._wearers: dict[str, FaceWearer] = {}
        self._prepared: OrderedDict[str, Any] = OrderedDict()

    def handle(self, job: Any) -> Any:
        """Do one job; what it raises goes back to whoever asked."""
        match job:
            case SwapFrame():
                return self._swap(job)
            case OpenFace():
                wearer = self._wearers[job.call_id] = self._engine.open(max_faces=job.max_faces)
                return wearer.wear(self._prepare(job.identity))
            case WearFace():
                return self._wearers[job.call_id].wear(self._prepare(job.identity))
            case PrepareIdentity():
                self._prepare(job.identity)
            case InspectPortrait():
                self._engine.prepare(IdentitySource(kind="portrait", name="", portrait=job.portrait))
            case ForgetIdentity():
                self._prepared.pop(job.name, None)
            case CloseFace():
                self._wearers.pop(job.call_id, None)
            case _:
                raise TypeError(type(job).__name__)
        return None

    def _swap(self, job: SwapFrame) -> SwappedFrame:
        began_s = time.thread_time()
        frame = np.asarray(cv2.cvtColor(job.i420, cv2.COLOR_YUV2BGR_I420), dtype=np.uint8)
        swap = self._wearers[job.call_id].swap(frame, job.time_s)
        i420 = np.asarray(cv2.cvtColor(swap.frame, cv2.COLOR_BGR2YUV_I420), dtype=np.uint8)
        cpu_ms = (time.thread_time() - began_s) * 1000.0
        return SwappedFrame(i420=i420, faces=swap.faces, stage_ms=swap.stage_ms, cpu_ms=cpu_ms)

    def _prepare(self, source: IdentitySource | None) -> Any:
        if source is None:
            return None
        if source.name not in self._prepared:
            self._prepared[source.name] = self._engine.prepare(source)
        self._prepared.move_to_end(source.name)
        while len(self._prepared) > PREPARED_IDENTITIES:
            self._prepared.popitem(last=False)
        return self._prepared[source.name]

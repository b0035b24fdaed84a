"""One frame, start to end, in the face lane: colour in, the engine's swap, colour out. Pure and synchronous.

`inference` sends the jobs below; `video_path` never sees anything but their answers. Per-call state (tracks, filters)
lives here and is pinned to this lane until `CloseFace`.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from models import portrait_rules
from models.engines import (
    BatchFaceEngine,
    Enhancement,
    EnhancerWish,
    EnhancingWearer,
    FaceBox,
    FaceEngine,
    FaceMapping,
    FaceWearer,
    Frame,
    IdentitySource,
    PortraitError,
    PreparedPart,
    RecognisingFaceEngine,
    StepwiseFaceEngine,
    Swap,
    SwapRequest,
)

T = TypeVar("T")

PREPARED_FACES = 16
"""Identities kept prepared; the one used longest ago goes first. The mesh engine's are textures of half a megabyte, and
a call wears one."""
PREPARED_IDENTITIES = 256
"""The same of an engine that recognises: a few kB each, and one mapping names up to 17."""
BEGUN_IDENTITIES = 8
"""Identities of several portraits that are being prepared; they hold their portraits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFace:
    """Make room for a call; it wears `identity` (None: every face is blurred), or as `mapping` says whom."""

    call_id: str
    max_faces: int
    identity: IdentitySource | None
    mapping: FaceMapping | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareIdentity:
    """Prepare an identity ahead of its first use: a mask takes a second, in which every call would stand still.

    One job is the work of one portrait: the answer is "more" while there are others, which need the identity's name
    only, "again" when it is not known any more which they were, or None when all is done.
    """

    identity: IdentitySource


@dataclass(frozen=True, slots=True, kw_only=True)
class WearFace:
    """Change the identity of a call, and who wears another, from its next frame on."""

    call_id: str
    identity: IdentitySource | None
    mapping: FaceMapping | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhanceFace:
    """Enhance the swaps of a call as wished from its next frame on; nothing where the engine has no enhancer."""

    call_id: str
    wish: EnhancerWish


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapFrame:
    """Swap one I420 picture, (height * 3 // 2, width) uint8, captured at `time_s`."""

    call_id: str
    i420: NDArray[np.uint8]
    time_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SwappedFrame:
    """The answer to SwapFrame. `cpu_ms` is the lane thread's CPU time over it, colour included; of a batch, its share.

    `seats` says how long the frame waited for the lane (on the server's side, by the clock) and how many went with it.
    """

    i420: NDArray[np.uint8]
    faces: tuple[FaceBox, ...]
    stage_ms: dict[str, float]
    cpu_ms: float
    wall_ms: dict[str, float] = field(default_factory=dict)
    """By stage, by the clock."""
    waited_ms: float = 0.0
    batch: int = 1
    enhancement: Enhancement = Enhancement()


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectPortrait:
    """Raises PortraitError in the lane when the portraits, of one person, cannot become an identity."""

    portraits: tuple[Frame, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetIdentity:
    """Drop whatever was prepared of the identity of this name; whoever wears it, or is known by it, wears nothing."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseFace:
    """Forget a call."""

    call_id: str


class ForeignPicture(Exception):
    """The engine answered a call's frame with a picture that is another call's, or no picture of that frame."""


class SwapPipeline:
    """The face engine's calls and identities."""

    def __init__(self, engine: FaceEngine) -> None:
        cv2.setNumThreads(1)  # the lane is one core's worth: more threads would race the encoders
        self._engine = engine
        self._batching = engine if isinstance(engine, BatchFaceEngine) else None
        self.batch_max = 1 if self._batching is None else self._batching.batch_max
        self._keeps = PREPARED_IDENTITIES if isinstance(engine, RecognisingFaceEngine) else PREPARED_FACES
        self._wearers: dict[str, FaceWearer] = {}
        self._held: dict[str, frozenset[str]] = {}
        """The names of what each call's wearer holds."""
        self._prepared: OrderedDict[str, Any] = OrderedDict()
        self._begun: OrderedDict[str, Iterator[Any]] = OrderedDict()

    def handle(self, job: Any) -> Any:
        """Do one job; what it raises goes back to whoever asked."""
        match job:
            case SwapFrame():
                return self._swap(job)
            case OpenFace():
                self._wearers[job.call_id] = self._engine.open(max_faces=job.max_faces)
                self._wear(job)
            case EnhanceFace():
                self._enhance(job)
            case WearFace():
                self._wear(job)
            case PrepareIdentity():
                return self._prepare_some(job.identity)
            case InspectPortrait():
                self._inspect(job.portraits)
            case ForgetIdentity():
                self._forget(job.name)
            case CloseFace():
                self._wearers.pop(job.call_id, None)
                self._held.pop(job.call_id, None)
            case _:
                raise TypeError(type(job).__name__)
        return None

    def handle_batch(self, jobs: Sequence[SwapFrame]) -> list[SwappedFrame | Exception]:
        """Swap frames of different calls in one run of the engine; what `handle` would raise stands in its place."""
        if self._batching is None:
            return [_tried(self._swap, job) for job in jobs]
        began_s = time.thread_time()
        requests = [_tried(self._request, job) for job in jobs]
        asked = [request for request in requests if isinstance(request, SwapRequest)]
        swaps = iter(_own_pictures(asked, self._batching.swap_batch(asked) if asked else []))
        done = [request if isinstance(request, Exception) else next(swaps) for request in requests]
        i420s = [swap if isinstance(swap, Exception) else _tried(_i420, swap.frame) for swap in done]
        cpu_ms = (time.thread_time() - began_s) * 1000.0 / len(jobs)
        return [_answer(swap, i420, cpu_ms) for swap, i420 in zip(done, i420s, strict=True)]

    def _enhance(self, job: EnhanceFace) -> None:
        wearer = self._wearers[job.call_id]
        if isinstance(wearer, EnhancingWearer):
            wearer.enhance(job.wish)

    def _swap(self, job: SwapFrame) -> SwappedFrame:
        began_s = time.thread_time()
        request = self._request(job)
        swap = request.wearer.swap(request.frame, request.time_s)
        i420 = _i420(swap.frame)
        cpu_ms = (time.thread_time() - began_s) * 1000.0
        return _swapped(swap, i420, cpu_ms)

    def _request(self, job: SwapFrame) -> SwapRequest:
        frame = np.asarray(cv2.cvtColor(job.i420, cv2.COLOR_YUV2BGR_I420), dtype=np.uint8)
        return SwapRequest(wearer=self._wearers[job.call_id], frame=frame, time_s=job.time_s)

    def _wear(self, job: OpenFace | WearFace) -> None:
        wearer = self._wearers[job.call_id]
        worn = self._worn(job)
        self._held[job.call_id] = _names(job)
        wearer.wear(worn)

    def _forget(self, name: str) -> None:
        """Also in wearers: a call whose camera is off would hold a removed face until its next picture."""
        self._prepared.pop(name, None)
        self._begun.pop(name, None)
        for call_id, names in self._held.items():
            if name in names:
                self._held[call_id] = frozenset()
                self._wearers[call_id].wear(None)

    def _worn(self, job: OpenFace | WearFace) -> Any:
        """What a call wears; with a mapping and an engine that cannot follow it, nothing: everybody is blurred."""
        identity, mapping = self._prepare(job.identity), job.mapping
        if mapping is None or identity is None:
            return identity
        if not isinstance(self._engine, RecognisingFaceEngine):
            return None
        parts = [
            PreparedPart(
                reference=self._prepare(face.reference), wears=self._prepare(face.wears), threshold=face.threshold
            )
            for face in mapping.faces
        ]
        return self._engine.mapped(identity, parts, others=mapping.others, lock=mapping.lock)

    def _inspect(self, portraits: Sequence[Frame]) -> None:
        """All together; where that fails each by itself, so that all that are unusable are named."""
        sources = [IdentitySource(kind="portrait", name="", portrait=portrait) for portrait in portraits]
        together = _tried(self._engine.prepare, replace(sources[0], more=tuple(portraits[1:])))
        if not isinstance(together, Exception):
            return
        tried = [_tried(self._engine.prepare, source) for source in sources] if len(sources) > 1 else []
        faults = [(index, fault) for index, fault in enumerate(tried) if isinstance(fault, PortraitError)]
        raise portrait_rules.unusable(faults) if faults else together

    def _prepare(self, source: IdentitySource | None) -> Any:
        if source is None:
            return None
        if source.name not in self._prepared:
            self._prepared[source.name] = self._engine.prepare(source)
        _use(self._prepared, source.name, most=self._keeps)
        return self._prepared[source.name]

    def _prepare_some(self, source: IdentitySource) -> Literal["more", "again"] | None:
        """One portrait of an identity; see `PrepareIdentity`."""
        if source.name in self._prepared or not isinstance(self._engine, StepwiseFaceEngine):
            self._prepare(source)
            return None
        steps = self._begun.pop(source.name, None)
        if steps is None and source.kind == "portrait" and source.portrait is None:
            return "again"
        steps = steps or self._engine.steps(source)
        identity = next(steps)
        kept, thing, most = (
            (self._begun, steps, BEGUN_IDENTITIES) if identity is None else (self._prepared, identity, self._keeps)
        )
        kept[source.name] = thing
        _use(kept, source.name, most=most)
        return "more" if identity is None else None


def _use(kept: OrderedDict[str, Any], name: str, *, most: int) -> None:
    """`name` was used last; who was used longest ago goes."""
    kept.move_to_end(name)
    while len(kept) > most:
        kept.popitem(last=False)


def _names(job: OpenFace | WearFace) -> frozenset[str]:
    faces = () if job.mapping is None else job.mapping.faces
    sources = (job.identity, *(source for face in faces for source in (face.reference, face.wears)))
    return frozenset(source.name for source in sources if source is not None)


def _i420(frame: Frame) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420), dtype=np.uint8)


def _tried(function: Callable[[Any], T], given: Any) -> T | Exception:
    """What a function gives or raises: one call's fault is not to cost another its frame."""
    try:
        return function(given)
    except Exception as error:  # noqa: BLE001 - an engine may raise anything
        return error


def _own_pictures(requests: Sequence[SwapRequest], swaps: Sequence[Swap | Exception]) -> list[Swap | Exception]:
    """The answers, without those that lie in another call's memory or are not of their frame's size.

    Engines on a GPU answer from buffers that they use again; two calls in one would show each other's faces.
    Raises ValueError when there is not one answer for each frame: whose they are cannot be told then.
    """
    if len(swaps) != len(requests):
        raise ValueError("an answer for each frame")
    checked: list[Swap | Exception] = []
    for request, swap in zip(requests, swaps, strict=True):
        others = [other.frame for other in requests if other is not request]
        others += [other.frame for other in swaps if isinstance(other, Swap) and other is not swap]
        if isinstance(swap, Exception) or _is_own(swap.frame, request.frame, others):
            checked.append(swap)
        else:
            checked.append(ForeignPicture())
    return checked


def _is_own(picture: Frame, asked: Frame, others: Sequence[Frame]) -> bool:
    return picture.shape == asked.shape and not any(np.may_share_memory(picture, other) for other in others)


def _answer(swap: Swap | Exception, i420: NDArray[np.uint8] | Exception, cpu_ms: float) -> SwappedFrame | Exception:
    if isinstance(swap, Exception):
        return swap
    if isinstance(i420, Exception):
        return i420
    return _swapped(swap, i420, cpu_ms)


def _swapped(swap: Swap, i420: NDArray[np.uint8], cpu_ms: float) -> SwappedFrame:
    return SwappedFrame(
        i420=i420,
        faces=swap.faces,
        stage_ms=swap.stage_ms,
        wall_ms=swap.wall_ms,
        cpu_ms=cpu_ms,
        enhancement=swap.enhancement,
    )

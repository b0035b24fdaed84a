"""Keeps an enhancer from costing a call its picture: a thread of its own, a time limit, and an end to repeated failure.

The enhancer's session is used by this one thread alone (ONNX Runtime leaks its arena otherwise). Whoever asks waits for
`LATE_S` at most and shows the plain swap instead. Made by `enhancer_choice`, asked by `enhancer_stage`.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from models.engines import Frame
from models.enhancer import Enhancer, EnhancerKind
from models.runtime import NetworkError

LATE_S = 0.25
"""Longer than any GPU takes over a batch, and far less than a lane may take over a frame."""
HANG_S = 5.0
"""Without an answer for so long there will be none."""
OPEN_S = 25.0
"""How long whoever opens it waits: three of them are well within the time that a lane has to start."""
FAILURES_TO_STOP = 5
"""In a row: the enhancer is switched off for this worker, since each try costs time that calls need."""

Clock = Callable[[], float]


@dataclass(slots=True)
class _Job:
    crops: list[Frame]
    fidelities: list[float]
    begun_s: float
    done: threading.Event = field(default_factory=threading.Event)
    answer: list[Frame | None] | Exception | None = None


class GuardedEnhancer:
    """One enhancer behind its thread, which also opens it. `off` says why it is not asked any more, empty till then."""

    def __init__(
        self,
        kind: EnhancerKind,
        make: Callable[[], Enhancer],
        *,
        clock: Clock,
        late_s: float = LATE_S,
        open_s: float = OPEN_S,
    ) -> None:
        """Waits until the enhancer is open, or `open_s`; frames are swapped without it until then."""
        self.kind = kind
        self.off = ""
        self._make = make
        self._clock = clock
        self._late_s = late_s
        self._failures = 0
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._late: _Job | None = None
        self._open = threading.Event()
        # A daemon: a network that hangs must not keep the process from ending.
        threading.Thread(target=self._serve, name=f"enhancer-{kind.name}", daemon=True).start()
        self._open.wait(open_s)

    @property
    def ready(self) -> bool:
        """Whether it is open, and not off."""
        return self._open.is_set() and not self.off

    def enhance(self, crops: Sequence[Frame], fidelities: Sequence[float]) -> list[Frame | None]:
        """As the enhancer. Raises `NetworkError` when it fails, is late, is still at a late job, or is off."""
        self._require_free()
        job = _Job(list(crops), list(fidelities), self._clock())
        self._jobs.put(job)
        if not job.done.wait(self._late_s):
            self._late = job
            raise self._failed("is late")
        if not isinstance(job.answer, list):
            raise self._failed(f"failed: {job.answer}")
        if len(job.answer) != len(crops):
            raise self._failed("answered for another number of faces")
        return job.answer

    def judged(self, *, sound: bool) -> None:
        """Whether any face of the last answer was believed: only that ends a row of failures, and the other is one."""
        if sound:
            self._failures = 0
        else:
            self._failed("gave back other faces than it was shown")

    def _require_free(self) -> None:
        if not self._open.is_set():
            raise NetworkError(f"the enhancer {self.kind.name} is being opened still")
        late = self._late
        if late is not None and late.done.is_set():
            self._late = late = None
        if late is not None and self._clock() - late.begun_s > HANG_S:
            self._stop("hangs")
        if self.off or late is not None:
            raise NetworkError(self.off or f"the enhancer {self.kind.name} is still at an older frame")

    def _failed(self, what: str) -> NetworkError:
        self._failures += 1
        if self._failures >= FAILURES_TO_STOP:
            self._stop(what)
        return NetworkError(self.off or f"the enhancer {self.kind.name} {what}")

    def _stop(self, what: str) -> None:
        self.off = f"the enhancer {self.kind.name} {what}, again and again: it is off until the engine starts anew"

    def _serve(self) -> None:
        try:
            enhancer = self._make()
        except Exception as error:  # noqa: BLE001 - whatever it is, the swaps are shown without
            self.off = f"the enhancer {self.kind.name} cannot be opened: {getattr(error, 'sentence', error)}"
            return self._open.set()
        self._open.set()
        while True:
            job = self._jobs.get()
            try:
                job.answer = enhancer.enhance(job.crops, job.fidelities)
            except Exception as error:  # noqa: BLE001 - a network may raise anything; whoever asked shows the plain swap
                job.answer = error
            job.done.set()

"""What the worker of a lane gets next: jobs of several calls, in a time that is handed in. Pure; used by `inference`.

Jobs of one call keep their order. Among calls the job that is due first goes first, those of calls within their rate
(`RATE_HZ`) before all others; frames of different calls go together, up to `batch_max`. A frame whose time passes
while the worker is busy is dropped: its call has a newer one. Nobody is held back while the worker is idle, except by
the few milliseconds (`WINDOW_S`) in which frames of other calls may join.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

RATE_HZ = 30.0
"""Frames a second that every call may have before others; more than that only when nobody else waits."""
BURST = 3.0
"""Frames that a call may have saved up."""
WINDOW_S = 0.003
"""How long a frame that finds the worker idle waits for company: a tenth of a frame's time at 30 a second."""
LIVE_S = 0.25
"""A call is expected to send again when its last frame is no older; at the lowest rate it is 67 ms."""
SETTLE_S = 0.1
"""What is no frame (to open, to wear, to close) is due so long after it came. It is never dropped."""
FORGET_S = 10.0
"""What is known of a call that sends nothing is kept so long: its bucket is full long before."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiting(Generic[T]):
    item: T
    due_s: float
    is_frame: bool
    joins_until_s: float
    may_expire: bool


@dataclass(slots=True, kw_only=True, eq=False)
class _Call(Generic[T]):
    line: deque[_Waiting[T]] = field(default_factory=deque)
    tokens: float = BURST
    counted_s: float
    frame_s: float = float("-inf")
    place_s: float = float("inf")
    """When the first frame that it lost since it was served was due: it keeps that place."""


class FrameQueue(Generic[T]):
    """Jobs that wait for one worker. `batch_max` frames go together; with 1 no frame waits for another.

    The fairness is a token bucket a call: each frame taken costs a token, `RATE_HZ` of them come back a second. A call
    without one comes after all calls that have one, and pays nothing then, so that idle time is nobody's loss.
    """

    def __init__(self, batch_max: int = 1) -> None:
        self.batch_max = batch_max
        self._calls: dict[str, _Call[T]] = {}

    def __len__(self) -> int:
        return sum(len(call.line) for call in self._calls.values())

    def put(self, item: T, *, call: str, now_s: float, patience_s: float | None, idle: bool) -> None:
        """Add a job. One with `patience_s` is a frame, worthless after so long; `idle` says that the worker is free.

        A frame that found the worker free is not dropped for the time in which it waited for company.
        """
        is_frame = patience_s is not None
        waiting = _Waiting(
            item=item,
            due_s=now_s + (SETTLE_S if patience_s is None else patience_s),
            is_frame=is_frame,
            joins_until_s=now_s + WINDOW_S if idle and is_frame else now_s,
            may_expire=is_frame and not idle,
        )
        known = self._calls.get(call) or self._admitted(call, now_s)
        known.line.append(waiting)
        if is_frame:
            known.frame_s = now_s

    def take(self, now_s: float) -> list[T]:
        """What an idle worker is to do now: one job, or frames of different calls; nothing while company may come."""
        ranked = sorted(self._ready(), key=lambda call: self._rank(call, now_s))
        chosen = ranked[:1]
        if self.batch_max > 1 and chosen and chosen[0].line[0].is_frame:
            chosen = [call for call in ranked if call.line[0].is_frame][: self.batch_max]
            if self._gathers(chosen, now_s):
                return []
        taken = [self._served(call, now_s) for call in chosen]
        for call in self._ready():
            for left in call.line:
                left.may_expire = left.is_frame
        return taken

    def expire(self, now_s: float) -> list[T]:
        """Remove and return the frames whose time has passed."""
        expired: list[T] = []
        for call in self._ready():
            late = [each for each in call.line if each.may_expire and each.due_s <= now_s]
            if late:
                call.place_s = min(call.place_s, late[0].due_s)
                call.line = deque(each for each in call.line if each not in late)
                expired += [each.item for each in late]
        return expired

    def next_s(self, now_s: float, *, idle: bool) -> float | None:
        """When to `take` (for an idle worker) or to `expire` again if nothing comes before; None for never.

        Asked after both were done at `now_s`: who waits for company still does so until a time that lies ahead.
        """
        lines = [each for call in self._ready() for each in call.line]
        times = [each.due_s for each in lines if each.may_expire]
        times += [each.joins_until_s for each in lines if idle and each.joins_until_s > now_s]
        return min(times, default=None)

    def remove(self, item: T) -> None:
        """Forget a job that nobody waits for any more; one that is not here is ignored."""
        for call in self._ready():
            call.line = deque(each for each in call.line if each.item is not item)

    def clear(self) -> list[T]:
        """Remove and return every job, and forget all calls."""
        items = [each.item for call in self._calls.values() for each in call.line]
        self._calls.clear()
        return items

    def _ready(self) -> list[_Call[T]]:
        return [call for call in self._calls.values() if call.line]

    def _admitted(self, name: str, now_s: float) -> _Call[T]:
        """Make room for a call; those that went are forgotten here, so that they cannot pile up."""
        gone = [
            other
            for other, call in self._calls.items()
            if not call.line and now_s - max(call.frame_s, call.counted_s) > FORGET_S
        ]
        for other in gone:
            del self._calls[other]
        self._calls[name] = call = _Call[T](counted_s=now_s)
        return call

    def _rank(self, call: _Call[T], now_s: float) -> tuple[bool, float]:
        """Lowest first: those with a token (and what is no frame), then by the time when they are due."""
        call.tokens = min(BURST, call.tokens + max(0.0, now_s - call.counted_s) * RATE_HZ)
        call.counted_s = max(now_s, call.counted_s)
        first = call.line[0]
        return first.is_frame and call.tokens < 1.0, min(first.due_s, call.place_s)

    def _gathers(self, chosen: list[_Call[T]], now_s: float) -> bool:
        """Whether to wait: somebody may still come, and nobody here has waited long enough."""
        live = sum(now_s - call.frame_s <= LIVE_S for call in self._calls.values())
        return len(chosen) < min(self.batch_max, live) and all(now_s < call.line[0].joins_until_s for call in chosen)

    def _served(self, call: _Call[T], now_s: float) -> T:
        waiting = call.line.popleft()
        if waiting.is_frame:
            call.place_s = float("inf")
            if call.tokens >= 1.0:
                call.tokens -= 1.0
        return waiting.item

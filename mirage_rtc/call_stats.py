"""The figures of one call, over the last few seconds. Written by the paths, shown on the page."""

import statistics
from collections import deque

import msgspec

from mirage_rtc.capture_marks import CaptureMark
from mirage_rtc.clock import Clock

WINDOW_S = 3.0


class Rolling:
    """Values of the last three seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s = clock()
        self._values: deque[tuple[float, float]] = deque()

    def add(self, value: float = 1.0) -> None:
        """Add a value now."""
        self._values.append((self._clock(), value))
        self._trim()

    def per_second(self) -> float:
        """How many values came a second."""
        self._trim()
        return len(self._values) / max(0.5, min(WINDOW_S, self._clock() - self._began_s))

    def median(self) -> float:
        """The median; 0 without a value."""
        self._trim()
        return statistics.median(value for _, value in self._values) if self._values else 0.0

    def mean(self) -> float:
        """The mean; 1 without a value, for shares of what went well."""
        self._trim()
        return statistics.fmean(value for _, value in self._values) if self._values else 1.0

    def _trim(self) -> None:
        oldest_s = self._clock() - WINDOW_S
        while self._values and self._values[0][0] < oldest_s:
            self._values.popleft()


class SessionStats(msgspec.Struct, frozen=True, kw_only=True):
    """One second's figures of a call. Latencies are capture to hand-over to the encoder, in ms."""

    fps_in: float = 0.0
    fps_out: float = 0.0
    video_ms_p50: float = 0.0
    audio_ms_p50: float = 0.0
    skew_ms: float = 0.0
    dropped: int = 0
    swapped: int = 0
    frozen: int = 0
    cards: int = 0
    hops: int = 0
    hops_silent: int = 0
    voice_ratio: float = 0.0
    voice_hop_ms: int = 0
    voice_accept_ratio: float = 1.0
    voice_over_budget: bool = False
    face_cpu_ms: float = 0.0
    video_mark: CaptureMark | None = None
    audio_mark: CaptureMark | None = None
    reports_ahead_ms: float | None = None

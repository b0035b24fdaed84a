"""Media time: when a frame was captured, on this server's clock.

Everything is in monotonic seconds of this server. A client's sender reports (RFC 3550 §6.4.1) say when it captured
what, on its own clock, for all its tracks alike; until the first one, capture time is arrival time, smoothed. In both
cases the lowest transit seen lately is taken as the path's own delay.
"""

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Monotonic seconds."""

monotonic_s: Clock = time.monotonic

_RISE_PER_S = 0.005
_RESYNC_S = 0.5
_SLEW_PER_S = 0.05
"""How fast a track moves from arrival times to reported ones."""
_HEAP_MAX_S = 1.0
"""So much sound at most is passed over where a track begins."""


class Transit:
    """Maps times of another clock to ours by the lowest transit seen lately: slews, steps only on a discontinuity."""

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._arrival_s = 0.0

    def local_s(self, remote_s: float, arrival_s: float) -> float:
        """What `remote_s` is on our clock, of something that arrived at `arrival_s`; never later than that."""
        transit_s = arrival_s - remote_s
        if self._offset_s is None or abs(transit_s - self._offset_s) > _RESYNC_S:
            self._offset_s = transit_s
        else:
            risen_s = self._offset_s + _RISE_PER_S * max(0.0, arrival_s - self._arrival_s)
            self._offset_s = min(transit_s, risen_s)
        self._arrival_s = arrival_s
        return remote_s + self._offset_s

    def remote_s(self, local_s: float) -> float | None:
        """What `local_s` is on the other clock, the inverse of `local_s`; None before anything arrived."""
        return None if self._offset_s is None else local_s - self._offset_s


class TrackStart:
    """Where a track begins: with the first packet that came in its own time.

    What waited before comes in a heap, and until sender reports say better the first of it would be taken for fresh.
    """

    def __init__(self) -> None:
        self._arrival_s: float | None = None
        self._passed_over_s = 0.0
        self._begun = False

    def has_begun(self, arrival_s: float, packet_s: float) -> bool:
        """Whether the packet that came at `arrival_s` belongs to the track; the first never does, after 1 s all do."""
        since_s = 0.0 if self._arrival_s is None else arrival_s - self._arrival_s
        self._arrival_s = arrival_s
        self._begun = self._begun or since_s >= packet_s / 2 or self._passed_over_s >= _HEAP_MAX_S
        self._passed_over_s += 0.0 if self._begun else packet_s
        return self._begun


class CaptureClock:
    """When the frames of one track were captured. The tracks of one client share `client`, its wall clock."""

    def __init__(self, client: Transit | None = None) -> None:
        self._client = client or Transit()
        self._track = Transit()
        self._correction_s: float | None = None
        self._arrival_s = 0.0

    def capture_s(self, media_s: float, arrival_s: float, reported_s: float | None = None) -> float:
        """When a frame stamped `media_s` was captured; `reported_s` is the same by the client's sender reports."""
        by_arrival_s = self._track.local_s(media_s, arrival_s)
        if reported_s is None:
            return by_arrival_s
        by_report_s = self._client.local_s(reported_s, arrival_s)
        if self._correction_s is None:
            self._correction_s = by_arrival_s - by_report_s
        step_s = _SLEW_PER_S * max(0.0, arrival_s - self._arrival_s) if self._arrival_s else 0.0
        self._arrival_s = arrival_s
        self._correction_s -= max(-step_s, min(step_s, self._correction_s))
        return min(arrival_s, by_report_s + self._correction_s)

"""Media time: when a frame was captured, and whether a picture is still in time with the voice.

Everything is in monotonic seconds of this server. A client's sender reports (RFC 3550 §6.4.1) say when it captured
what, on its own clock, for all its tracks alike; until the first one, capture time is arrival time, smoothed. In both
cases the lowest transit seen lately is taken as the path's own delay.
"""

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Monotonic seconds."""

monotonic_s: Clock = time.monotonic

LATE_S = 0.150
"""A picture this far behind the audio head is dropped (the specification's sync strategy)."""
ALIVE_S = 1.0
"""One picture in this time goes out however late it is, so that the far end does not declare a freeze."""
_RISE_PER_S = 0.005
_RESYNC_S = 0.5
_SLEW_PER_S = 0.05
"""How fast a track moves from arrival times to reported ones."""


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


class SyncRule:
    """The audio clock is master: says which pictures are too late for the voice that was already sent."""

    def __init__(self) -> None:
        self._audio_head_s: float | None = None
        self._shown_s: float | None = None
        self.late = 0

    def audio_sent(self, capture_s: float) -> None:
        """The newest voice sample sent was captured at `capture_s`."""
        self._audio_head_s = capture_s

    def skew_ms(self, picture_capture_s: float) -> float:
        """How far a picture is ahead (+) of or behind (-) the audio head, in ms; 0 without audio."""
        if self._audio_head_s is None:
            return 0.0
        return (picture_capture_s - self._audio_head_s) * 1000.0

    def passes(self, picture_capture_s: float, now_s: float) -> bool:
        """False for a picture over 150 ms behind the audio head, unless none was shown for a second."""
        behind_s = -self.skew_ms(picture_capture_s) / 1000.0
        alive = self._shown_s is not None and now_s - self._shown_s < ALIVE_S
        if behind_s > LATE_S and alive:
            self.late += 1
            return False
        self._shown_s = now_s
        return True

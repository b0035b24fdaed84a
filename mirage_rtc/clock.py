"""Media time: when a frame was captured, and whether a picture is still in time with the voice.

Everything is in monotonic seconds of this server. Until a client's sender reports are read (RFC 3550 §6.4.1) capture
time is arrival time, smoothed: the lowest transit seen lately is taken as the path's own delay.
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


class CaptureClock:
    """Maps the media time of one track to the server's clock, slewing: never stepping but on a discontinuity."""

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._arrival_s = 0.0

    def capture_s(self, media_s: float, arrival_s: float) -> float:
        """When a frame stamped `media_s` on the sender's clock was captured; never later than `arrival_s`."""
        transit_s = arrival_s - media_s
        if self._offset_s is None or abs(transit_s - self._offset_s) > _RESYNC_S:
            self._offset_s = transit_s
        else:
            risen_s = self._offset_s + _RISE_PER_S * max(0.0, arrival_s - self._arrival_s)
            self._offset_s = min(transit_s, risen_s)
        self._arrival_s = arrival_s
        return media_s + self._offset_s


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

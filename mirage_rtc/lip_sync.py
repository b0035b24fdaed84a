"""Pictures in time with the voice: the specification's sync strategy, decided here and done by `video_path`.

Audio is the master timeline: its head is the capture time of the newest sample sent, and pictures are measured against
it. Sound is never dropped, held or stretched for the sake of a picture. Without sound every picture is in time.
"""

import math
from collections.abc import Callable

LATE_S = 0.150
"""A picture this far behind the audio head is dropped, and less video asked for (specification, Sync Strategy)."""
ALIVE_S = 1.0
"""One picture in this time goes out however late it is, so that the far end does not declare a freeze."""
DEGRADE_EVERY_S = 1.0
"""Less video is asked for at most so often."""
OPUS_LOOKAHEAD_S = 0.0065
"""How much older than its time stamp says the sound in an Opus packet is: libopus looks so far ahead (RFC 7587's
clients do not count it in; 312 samples at 48 kHz, `OPUS_GET_LOOKAHEAD`). Both ways through a call have it."""
OFF_S = 0.045
"""Off by more than this is noticed (ITU-R BT.1359-1: sound 45 ms ahead of its picture)."""
OFF_PICTURES = 120
"""Drift is what stays off for more pictures than this in a row (specification, Sync Strategy)."""


class SyncRule:
    """The rules for one call. `on_degrade` is told by how many ms the audio leads when it leads too far."""

    def __init__(self, on_degrade: Callable[[float], None] = lambda _: None) -> None:
        self.late = 0
        self._on_degrade = on_degrade
        self._audio_head_s: float | None = None
        self._shown_s: float | None = None
        self._asked_s: float | None = None
        self._off = 0

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
        lead_s = -self.skew_ms(picture_capture_s) / 1000.0
        late = lead_s > LATE_S
        if late:
            self._ask_for_less(lead_s, now_s)
        if late and self._shown_s is not None and now_s - self._shown_s < ALIVE_S:
            self.late += 1
            return False
        self._shown_s = now_s
        return True

    def left_s(self, picture_capture_s: float, now_s: float) -> float:
        """How long until `passes` says no to a picture; infinite while it says yes to any."""
        if self._audio_head_s is None or self._shown_s is None or now_s - self._shown_s >= ALIVE_S:
            return math.inf
        return LATE_S + self.skew_ms(picture_capture_s) / 1000.0

    def drift_s(self, picture_capture_s: float) -> float:
        """Note a picture that is about to be sent: by how much pictures are ahead (+) or behind (-) when that lasts.

        0 unless more than 120 in a row were off to the same side by more than 45 ms; counting begins anew then.
        """
        ahead_s = self.skew_ms(picture_capture_s) / 1000.0
        if abs(ahead_s) <= OFF_S or (self._off > 0) != (ahead_s > 0):
            self._off = 0
        if abs(ahead_s) > OFF_S:
            self._off += 1 if ahead_s > 0 else -1
        if abs(self._off) <= OFF_PICTURES:
            return 0.0
        self._off = 0
        return ahead_s

    def _ask_for_less(self, lead_s: float, now_s: float) -> None:
        if self._asked_s is None or now_s - self._asked_s >= DEGRADE_EVERY_S:
            self._asked_s = now_s
            self._on_degrade(lead_s * 1000.0)

"""RTP timestamps of one track as pts: unwrapped, 0 at the first frame. Used by `receiver`.

Stands in for `aiortc.rtcrtpreceiver.TimestampMapper` (aiortc 1.16.0), which takes every step back for a wrap of 2^32.
"""

_CIRCLE, _HALF_CIRCLE = 1 << 32, 1 << 31


class RtpTimeline:
    """A timestamp is the one nearest to the last frame's (RFC 3550 §5.1 lets it start and wrap anywhere)."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None

    def map(self, timestamp: int) -> int:
        """The pts of a frame that is given out now."""
        pts = self.at(timestamp) or 0
        self._last = (timestamp, pts)
        return pts

    def at(self, timestamp: int) -> int | None:
        """The pts of any timestamp near the last frame's; None before the first frame."""
        if self._last is None:
            return None
        last, pts = self._last
        return pts + (timestamp - last + _HALF_CIRCLE) % _CIRCLE - _HALF_CIRCLE

"""The caller's own clock, echoed: which RTP timestamp that we sent shows what the caller's browser captured when.

The browser knows when it shows or plays an RTP timestamp, so with a mark a second it can measure the whole way from its
camera to its screen by itself. Made by `rtc_leg` of what its senders and receivers know, carried in `call_stats`.
"""

from collections import deque

import msgspec

from mirage_rtc.clock import Transit

NTP_UNIX_S = 2_208_988_800
"""1970 on the NTP clock (RFC 5905 §6)."""
_REPORTS = 8


class CaptureMark(msgspec.Struct, frozen=True, kw_only=True):
    """What we sent with this RTP timestamp was captured at `captured_ms`: Unix ms on the client's own clock."""

    rtp_timestamp: int
    captured_ms: float


def capture_mark(sent: tuple[int, float] | None, client: Transit) -> CaptureMark | None:
    """The mark of what was sent last: (RTP timestamp, our capture time in s); None before the client's first report."""
    captured_s = client.remote_s(sent[1]) if sent is not None else None
    if sent is None or captured_s is None:
        return None
    return CaptureMark(rtp_timestamp=sent[0], captured_ms=(captured_s - NTP_UNIX_S) * 1000.0)


class ReportTransit:
    """How far our clock was ahead of a client's sender reports when they came, the fastest of the last few."""

    def __init__(self) -> None:
        self._transits_s: deque[float] = deque(maxlen=_REPORTS)

    def note(self, ntp_s: float, arrival_s: float) -> None:
        """A report that was sent at `ntp_s` on the client's clock arrived at `arrival_s` on ours."""
        self._transits_s.append(arrival_s - (ntp_s - NTP_UNIX_S))

    @property
    def ahead_ms(self) -> float | None:
        """Our monotonic clock less the client's Unix clock, the network's way included; None before a report."""
        return min(self._transits_s) * 1000.0 if self._transits_s else None

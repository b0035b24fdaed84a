"""How much one address, one person and one socket may ask for. Pure: every decision takes `now_s`, nothing waits.

`app.py` builds one `Limits`; `http_api.py`, `peer_socket.py` and `chunk_socket.py` ask before they work.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass

from mirage_rtc.errors import TooMany


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every bound of the wire, in one place."""

    sdp_bytes: int = 32_768
    message_bytes: int = 65_536
    """Largest control message that is read; `sdp_bytes` of SDP fit with their JSON escapes."""
    frame_bytes: int = 4 * 1024 * 1024
    """Largest WebSocket frame: refused with a code up to here, beyond it the socket closes with 1009."""
    candidates: int = 32
    messages_per_s: float = 120.0
    bytes_per_s: float = 4.0 * 1024 * 1024
    picture_bytes: int = 1024 * 1024
    picture_px: int = 2_100_000
    jpeg_quality: int = 80
    """Of the pictures sent over the chunk fallback."""
    upload_bytes: int = 12 * 1024 * 1024
    discard_bytes: int = 64 * 1024 * 1024
    """An upload that is too large is read to its end up to here, so that its sender hears why."""
    joins_per_s: float = 1.0
    joins_burst: float = 30.0
    uploads_per_s: float = 0.2
    uploads_burst: float = 10.0
    saved_per_s: float = 1.0
    """Saved voices listed, saved or removed: apart from uploads, since every page that opens lists them."""
    saved_burst: float = 20.0
    hello_s: float = 10.0
    send_stuck_s: float = 10.0


class TokenBucket:
    """Up to `burst` at once, refilled by `rate_per_s`."""

    __slots__ = ("_at_s", "_burst", "_level", "_rate_per_s")

    def __init__(self, rate_per_s: float, burst: float, now_s: float) -> None:
        """Starts full."""
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._level = burst
        self._at_s = now_s

    def take(self, now_s: float, amount: float = 1.0) -> bool:
        """Take `amount` if it is there; a clock that steps back refills nothing."""
        elapsed_s = max(0.0, now_s - self._at_s)
        self._level = min(self._burst, self._level + elapsed_s * self._rate_per_s)
        self._at_s = now_s
        if self._level < amount:
            return False
        self._level -= amount
        return True


class KeyedBuckets:
    """A bucket for each address or subject; the longest unused is forgotten beyond `kept` keys."""

    def __init__(self, rate_per_s: float, burst: float, *, kept: int = 10_000) -> None:
        """All keys share one rate."""
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._kept = kept
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def require(self, key: str, now_s: float) -> None:
        """Take one for `key`; raises TooMany `rate_limited`."""
        bucket = self._buckets.pop(key, None) or TokenBucket(self._rate_per_s, self._burst, now_s)
        self._buckets[key] = bucket
        if len(self._buckets) > self._kept:
            self._buckets.popitem(last=False)
        if not bucket.take(now_s):
            raise TooMany("rate_limited", "Too many requests in a short time. Wait a few seconds and try again.")


class InvalidWindow:
    """The specification's anomaly rule: more than 30 % invalid of the last 200 messages and chunks end a session.

    Messages not yet sent count as valid: the session ends with the 61st invalid one among the last 200, so neither one
    bad message nor a bad first dozen can do it, and a stream of nothing but rubbish ends after 61.
    """

    WINDOW = 200
    INVALID_MAX = 60

    def __init__(self) -> None:
        """Nothing seen."""
        self._valid: deque[bool] = deque(maxlen=self.WINDOW)

    def judge(self, valid: bool) -> bool:
        """Record one message; whether the session must end."""
        self._valid.append(valid)
        return not valid and self._valid.count(False) > self.INVALID_MAX


class SocketBudget:
    """Messages and bytes a second of one socket."""

    def __init__(self, limits: Limits, now_s: float) -> None:
        """Two seconds' worth may come at once."""
        self._messages = TokenBucket(limits.messages_per_s, 2 * limits.messages_per_s, now_s)
        self._bytes = TokenBucket(limits.bytes_per_s, 2 * limits.bytes_per_s, now_s)

    def require(self, size_bytes: int, now_s: float) -> None:
        """Take one message of `size_bytes`; raises TooMany `rate_limited`."""
        if not (self._messages.take(now_s) and self._bytes.take(now_s, size_bytes)):
            raise TooMany(
                "rate_limited", "Messages come faster than the server takes them; this one was dropped. Slow down."
            )

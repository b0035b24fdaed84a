"""The RTP packets of one sender, and the last second of them for a peer that missed one.

In place of upstream's `RtpPacket` objects, of which it makes one with eight attributes, an extensions object and a
serialisation for each packet, and of its history of 128 packets: half a second of a picture at 2.5 Mbit/s. The wire
format is the same (RFC 3550 §5.1, RFC 8285 §4.2, RFC 4588 §4), which the test checks against upstream's own parser.
"""

import random
from collections import OrderedDict
from dataclasses import dataclass
from struct import pack

from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap

from mirage_rtc.clock import Clock

HISTORY_S = 1.0
"""An older packet is not sent again: its picture is shown or given up."""
HISTORY_PACKETS = 1024
"""Twice what a second takes at 5 Mbit/s."""
_VERSION = 2 << 6
_EXTENSION = 1 << 4
_MARKER = 1 << 7


@dataclass(slots=True)
class Sent:
    """One packet that was sent."""

    marker: int
    timestamp: int
    rest: bytes
    """What follows the fixed header: the extension block and the payload."""
    extension_bytes: int
    at_s: float
    again_s: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Rtx:
    """How packets are sent again (RFC 4588)."""

    payload_type: int
    ssrc: int


def extension_block(ids: HeaderExtensionsMap, values: HeaderExtensions) -> bytes:
    """A header's extension, with its profile and length (RFC 8285 §4.2); empty when none was negotiated."""
    profile, value = ids.set(values)
    return pack("!HH", profile, len(value) >> 2) + value if value else b""


class RtpStream:
    """Numbers packets, keeps them, and makes them anew."""

    def __init__(self, *, ssrc: int, payload_type: int, rtx: Rtx | None, clock: Clock) -> None:
        self._ssrc, self._payload_type, self._rtx, self._clock = ssrc, payload_type, rtx, clock
        self._sequence = random.randrange(1 << 15)  # the lower half: a wrap at once breaks SRTP's counter
        self._rtx_sequence = random.randrange(1 << 15)
        self._history: OrderedDict[int, Sent] = OrderedDict()

    def packet(self, payload: bytes, timestamp: int, *, last: bool, extension: bytes) -> bytes:
        """The next packet, ready for SRTP. `last` marks a picture's end (RFC 6184 §5.1)."""
        sequence, marker = self._sequence, _MARKER if last else 0
        self._sequence = (sequence + 1) & 0xFFFF
        rest = extension + payload
        self._keep(sequence, Sent(marker, timestamp, rest, len(extension), self._clock()))
        first = _VERSION | _EXTENSION if extension else _VERSION
        return pack("!BBHLL", first, marker | self._payload_type, sequence, timestamp, self._ssrc) + rest

    def again(self, sequence: int, *, not_within_s: float) -> bytes | None:
        """A packet for its retransmission; None when it is too old, or was sent again `not_within_s` ago or less."""
        sequence &= 0xFFFF  # upstream's parser of NACKs counts on beyond the wrap
        sent, now_s = self._history.get(sequence), self._clock()
        if sent is None or now_s - sent.at_s > HISTORY_S or now_s - sent.again_s < not_within_s:
            return None
        sent.again_s = now_s
        first = _VERSION | _EXTENSION if sent.extension_bytes else _VERSION
        if self._rtx is None:
            head = pack("!BBHLL", first, sent.marker | self._payload_type, sequence, sent.timestamp, self._ssrc)
            return head + sent.rest
        number, self._rtx_sequence = self._rtx_sequence, (self._rtx_sequence + 1) & 0xFFFF
        rtx = self._rtx
        head = pack("!BBHLL", first, sent.marker | rtx.payload_type, number, sent.timestamp, rtx.ssrc)
        extension, payload = sent.rest[: sent.extension_bytes], sent.rest[sent.extension_bytes :]
        return head + extension + pack("!H", sequence) + payload

    def forget(self) -> None:
        """Nothing that was sent so far is sent again."""
        self._history.clear()

    def _keep(self, sequence: int, sent: Sent) -> None:
        self._history.pop(sequence, None)  # a number that came round again is the newest
        self._history[sequence] = sent
        while len(self._history) > HISTORY_PACKETS or sent.at_s - self._oldest().at_s > HISTORY_S:
            self._history.popitem(last=False)

    def _oldest(self) -> Sent:
        return next(iter(self._history.values()))

"""The jitter buffer of one incoming track: puts RTP packets in order and gives frames out as soon as they are whole.

Stands in for `aiortc.jitterbuffer.JitterBuffer` (aiortc 1.16.0; its `add` has upstream's signature), fed by `receiver`.
"""

from collections.abc import Callable

from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_add

AUDIO_HOLE_PACKETS = 2
"""A lost audio packet is given up when more newer ones than this wait: late is as bad as lost."""
HOLE_SAMPLES = 1920
"""It is given up too when as much newer sound waits: 40 ms at Opus' 48 kHz, which long packets reach sooner."""
HOLES_IN_A_ROW = 4
"""So many holes that nothing late filled: packets do not overtake each other here, and it waits for one less."""
OLD_PACKETS_IN_A_ROW = 50
"""So many packets far older than what was given out are no late ones: the sender began anew."""
_CIRCLE, _HALF_CIRCLE = 0x10000, 0x8000


class WholeFrame(JitterFrame):
    """A frame, and how many packets before it were given up."""

    def __init__(self, data: bytes, timestamp: int, *, lost: int = 0) -> None:
        super().__init__(data=data, timestamp=timestamp)
        self.lost = lost


class MediaBuffer:
    """A video frame is whole at its marker bit (RFC 6184 §5.1, RFC 7741 §4.1); an audio frame is one packet (RFC 7587).

    A video track begins with a key frame. It waits for what is missing until it comes or a later key frame is whole,
    whichever is first. `starts_frame` tells of a packet, and `is_key` of a frame's first packet and its data, what is
    needed for that.
    """

    def __init__(
        self,
        *,
        capacity: int,
        is_video: bool,
        starts_frame: Callable[[RtpPacket], bool] = lambda _: False,
        is_key: Callable[[RtpPacket, bytes], bool] = lambda *_: False,
        on_restart: Callable[[], None] = lambda: None,
    ) -> None:
        self.capacity = capacity
        self.resyncing = is_video
        self.hole_packets = AUDIO_HOLE_PACKETS
        self._is_video = is_video
        self._starts_frame = starts_frame
        self._is_key = is_key
        self._on_restart = on_restart
        self._origin: int | None = None
        self._span = 0
        self._packets: dict[int, RtpPacket] = {}
        self._old_in_a_row = 0
        self._holes_in_a_row = 0

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Keep a packet; answers whether a key frame must be asked for, and the oldest whole frame if there is one."""
        sequence = packet.sequence_number
        if self._origin is None:
            self._origin = sequence
        ahead = uint16_add(sequence, -self._origin)
        if ahead >= _HALF_CIRCLE and not self._began_anew(_CIRCLE - ahead):
            return False, None
        overrun = ahead >= (self.capacity if self._is_video else _HALF_CIRCLE)
        if overrun:
            self._restart(sequence)
        else:
            self._old_in_a_row = 0
        self._note_order(uint16_add(sequence, -self._origin))
        self._packets[sequence] = packet
        if self._is_video:
            self._go_on_at_key_frame(packet)
        return overrun and self._is_video, self.take()

    def take(self) -> WholeFrame | None:
        """The oldest whole frame."""
        if self._origin is None or not self._packets or self.resyncing:
            return None
        if not self._is_video:
            return self._take_sound(self._origin)
        return self._give(self._whole_frame(self._origin))

    def wants(self, sequence: int) -> bool:
        """Whether a missing packet would still be of use."""
        return self._origin is not None and uint16_add(sequence, -self._origin) < _HALF_CIRCLE

    def _began_anew(self, behind: int) -> bool:
        """Take note of a packet so far behind what was given out; whether the sender must have begun anew."""
        if not self._is_video and behind <= self.capacity:
            self.hole_packets, self._holes_in_a_row = AUDIO_HOLE_PACKETS, 0  # it was late, not lost
        self._old_in_a_row = self._old_in_a_row + 1 if behind > self.capacity else 0
        return self._old_in_a_row > OLD_PACKETS_IN_A_ROW

    def _restart(self, sequence: int) -> None:
        self._packets.clear()
        self._origin, self._span, self._old_in_a_row = sequence, 0, 0
        self.resyncing = self._is_video
        self._on_restart()

    def _note_order(self, ahead: int) -> None:
        if ahead < self._span:
            self._holes_in_a_row = 0
            self.hole_packets = AUDIO_HOLE_PACKETS  # it was overtaken
        self._span = max(self._span, ahead + 1)

    def _whole_frame(self, sequence: int) -> list[RtpPacket]:
        """The packets of the frame that begins at `sequence`; empty while one is missing."""
        parts: list[RtpPacket] = []
        while (packet := self._packets.get(sequence)) is not None:
            if parts and packet.timestamp != parts[0].timestamp:
                return parts  # the marker was missing: the next frame began
            parts.append(packet)
            if packet.marker:
                return parts
            sequence = uint16_add(sequence, 1)
        return []

    def _go_on_at_key_frame(self, packet: RtpPacket) -> None:
        """Drop what is before a key frame that this packet made whole, if anything is missing there."""
        if not self.resyncing and len(self._packets) == self._span:
            return
        first = packet
        while not self._starts_frame(first):
            former = self._packets.get(uint16_add(first.sequence_number, -1))
            if former is None or former.timestamp != packet.timestamp:
                return
            first = former
        parts = self._whole_frame(self._beginning(first))
        if parts and self._is_key(parts[0], _data(parts)):
            self._drop_before(parts[0].sequence_number)
            self.resyncing = False

    def _beginning(self, first: RtpPacket) -> int:
        """Where the frame of `first` begins: a packet of a frame may start a part of it (RFC 6184 §5.6)."""
        sequence = first.sequence_number
        while (former := self._packets.get(uint16_add(sequence, -1))) is not None:
            if former.timestamp != first.timestamp:
                break
            sequence = former.sequence_number
        return sequence

    def _drop_before(self, sequence: int) -> None:
        dropped = uint16_add(sequence, -(self._origin or 0))
        for older in [older for older in self._packets if uint16_add(older, -(self._origin or 0)) < dropped]:
            del self._packets[older]
        self._origin, self._span = sequence, self._span - dropped

    def _take_sound(self, origin: int) -> WholeFrame | None:
        """The next packet; one behind a hole when enough wait there, or when the hole is an outage."""
        if origin in self._packets:
            return self._give([self._packets[origin]])
        lost = min(uint16_add(sequence, -origin) for sequence in self._packets)
        if self._is_hole_open(origin, lost):
            return None
        self._drop_before(uint16_add(origin, lost))
        self._note_hole()
        return self._give([self._packets[uint16_add(origin, lost)]], lost=lost)

    def _is_hole_open(self, origin: int, lost: int) -> bool:
        """Whether what is missing at `origin` may still come in time."""
        newest = self._packets[uint16_add(origin, self._span - 1)]
        waiting = newest.timestamp - self._packets[uint16_add(origin, lost)].timestamp
        few = len(self._packets) <= self.hole_packets and waiting % (1 << 32) < HOLE_SAMPLES
        return few and self._span <= self.capacity

    def _note_hole(self) -> None:
        self._holes_in_a_row += 1
        if self._holes_in_a_row >= HOLES_IN_A_ROW:
            self.hole_packets, self._holes_in_a_row = max(0, self.hole_packets - 1), 0

    def _give(self, parts: list[RtpPacket], *, lost: int = 0) -> WholeFrame | None:
        if not parts:
            return None
        for packet in parts:
            del self._packets[packet.sequence_number]
        self._origin = uint16_add(parts[-1].sequence_number, 1)
        self._span -= len(parts)
        return WholeFrame(_data(parts), parts[0].timestamp, lost=lost)


def _data(parts: list[RtpPacket]) -> bytes:
    return b"".join(packet._data for packet in parts)  # type: ignore[attr-defined]

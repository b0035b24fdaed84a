"""The jitter buffer of one incoming track: puts RTP packets in order and gives frames out as soon as they are whole.

Stands in for `aiortc.jitterbuffer.JitterBuffer` (its `add` has upstream's signature), fed by `receiver`.
"""

from collections.abc import Callable

from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_add

AUDIO_HOLE_PACKETS = 2
"""A lost audio packet is given up when more newer ones than this wait: late is as bad as lost."""
OLD_PACKETS_IN_A_ROW = 50
"""So many packets older than what was given out are no late ones: the sender began anew."""
_HALF_CIRCLE = 0x8000


class MediaBuffer:
    """A video frame is whole at its marker bit (RFC 6184 §5.1, RFC 7741 §4.1); an audio frame is one packet (RFC 7587).

    `starts_frame` and `is_key` tell, of a packet and of a frame's data, what is needed to go on after a loss: a video
    track that waits in vain is told `resync`, and then goes on at the next key frame.
    """

    def __init__(
        self,
        *,
        capacity: int,
        is_video: bool,
        starts_frame: Callable[[RtpPacket], bool] = lambda _: False,
        is_key: Callable[[bytes], bool] = lambda _: False,
    ) -> None:
        self.capacity = capacity
        self.resyncing = False
        self._is_video = is_video
        self._starts_frame = starts_frame
        self._is_key = is_key
        self._origin: int | None = None
        self._packets: dict[int, RtpPacket] = {}
        self._old_in_a_row = 0

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Keep a packet; answers whether a key frame must be asked for, and the oldest whole frame if there is one."""
        sequence = packet.sequence_number
        if self._origin is None:
            self._origin = sequence
        ahead = uint16_add(sequence, -self._origin)
        old = ahead >= _HALF_CIRCLE
        self._old_in_a_row = self._old_in_a_row + 1 if old else 0
        restarted = self._old_in_a_row > OLD_PACKETS_IN_A_ROW
        if old and not restarted:
            return False, None
        overrun = restarted or ahead >= self.capacity
        if overrun:
            self._old_in_a_row = 0
            self._packets.clear()
            self._origin = sequence
            self.resyncing = self._is_video
        self._packets[sequence] = packet
        return overrun and self._is_video, self.take()

    def take(self) -> JitterFrame | None:
        """The oldest whole frame."""
        if self._origin is None or not self._packets:
            return None
        if not self._is_video:
            return self._take_sound(self._origin)
        if self.resyncing:
            return self._take_key_frame()
        return self._give(self._whole_frame(self._origin))

    def resync(self) -> None:
        """Give up what is missing: go on at the next key frame."""
        self.resyncing = self._is_video

    def wants(self, sequence: int) -> bool:
        """Whether a missing packet would still be of use."""
        return self._origin is not None and uint16_add(sequence, -self._origin) < _HALF_CIRCLE

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

    def _take_key_frame(self) -> JitterFrame | None:
        """The first whole key frame; everything before it is dropped."""
        for sequence in self._in_order():
            if not self._starts_frame(self._packets[sequence]):
                continue
            parts = self._whole_frame(sequence)
            if parts and self._is_key(_data(parts)):
                self.resyncing = False
                for older in self._in_order():
                    if older == sequence:
                        break
                    del self._packets[older]
                return self._give(parts)
        return None

    def _take_sound(self, origin: int) -> JitterFrame | None:
        if origin not in self._packets:
            if len(self._packets) <= AUDIO_HOLE_PACKETS:
                return None
            origin = self._in_order()[0]
        return self._give([self._packets[origin]])

    def _in_order(self) -> list[int]:
        origin = self._origin or 0
        return sorted(self._packets, key=lambda sequence: uint16_add(sequence, -origin))

    def _give(self, parts: list[RtpPacket]) -> JitterFrame | None:
        if not parts:
            return None
        for packet in parts:
            del self._packets[packet.sequence_number]
        self._origin = uint16_add(parts[-1].sequence_number, 1)
        return JitterFrame(data=_data(parts), timestamp=parts[0].timestamp)


def _data(parts: list[RtpPacket]) -> bytes:
    return b"".join(packet._data for packet in parts)  # type: ignore[attr-defined]

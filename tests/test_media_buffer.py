"""The jitter buffer, fed with RTP packets."""

import inspect

import pytest
from aiortc import RTCRtpReceiver
from aiortc.rtp import RtpPacket

from mirage_rtc.aiortc_private.media_buffer import OLD_PACKETS_IN_A_ROW, MediaBuffer


def test_upstream_still_uses_the_buffer_as_we_provide_it() -> None:
    """`add` answers a pair."""
    assert "pli_flag, encoded_frame = self.__jitter_buffer.add(packet)" in inspect.getsource(RTCRtpReceiver)


def _packet(sequence: int, timestamp: int = 0, *, marker: bool = False) -> RtpPacket:
    packet = RtpPacket(sequence_number=sequence & 0xFFFF, timestamp=timestamp, marker=int(marker))
    packet._data = bytes([sequence & 0xFF])  # type: ignore[attr-defined]
    return packet


def _feed(buffer: MediaBuffer, packets: list[RtpPacket]) -> list[tuple[int, int]]:
    """(index of the packet that completed it, frame timestamp) of each frame."""
    out = []
    for index, packet in enumerate(packets):
        _, frame = buffer.add(packet)
        while frame is not None:
            out.append((index, frame.timestamp))
            frame = buffer.take()
    return out


def test_a_picture_leaves_at_its_marker() -> None:
    """Not at the next picture's first packet, as upstream has it."""
    buffer = MediaBuffer(capacity=512, is_video=True)
    packets = [_packet(n, n // 3 * 3000, marker=n % 3 == 2) for n in range(9)]

    assert _feed(buffer, packets) == [(2, 0), (5, 3000), (8, 6000)]


def test_a_lost_sound_packet_costs_two_packets_once() -> None:
    """The hole is given up when three newer ones wait; then all leave, and the delay is what it was."""
    buffer = MediaBuffer(capacity=16, is_video=False)
    packets = [_packet(n, n) for n in range(20) if n != 5]
    frames = _feed(buffer, packets)

    assert [timestamp for _, timestamp in frames] == [n for n in range(20) if n != 5]
    assert [index for index, timestamp in frames if timestamp in (6, 7, 8)] == [7, 7, 7]
    assert frames[-1] == (18, 19)


def test_reordered_packets_are_put_right() -> None:
    """Two packets that changed places leave in order."""
    buffer = MediaBuffer(capacity=16, is_video=False)
    order = [0, 1, 3, 2, 4]

    assert [timestamp for _, timestamp in _feed(buffer, [_packet(n, n) for n in order])] == [0, 1, 2, 3, 4]


def test_the_sequence_number_wraps() -> None:
    """65535 is followed by 0."""
    buffer = MediaBuffer(capacity=16, is_video=False)

    assert len(_feed(buffer, [_packet(65_530 + n, n) for n in range(12)])) == 12


def test_an_old_packet_is_ignored() -> None:
    """What was already given out does not come back."""
    buffer = MediaBuffer(capacity=16, is_video=False)
    _feed(buffer, [_packet(n, n) for n in range(10, 15)])

    assert buffer.add(_packet(11, 11)) == (False, None)


def _video_buffer() -> MediaBuffer:
    return MediaBuffer(
        capacity=512,
        is_video=True,
        starts_frame=lambda packet: packet.sequence_number % 3 == 0,
        is_key=lambda data: data[0] % 30 == 0,
    )


def test_a_picture_with_a_hole_waits_and_resync_goes_on_at_the_next_key_frame() -> None:
    """Frames of three packets, every tenth a key frame: without packet 4 nothing leaves until 30 to 32 are here."""
    buffer = _video_buffer()
    packets = [_packet(n, n // 3 * 3000, marker=n % 3 == 2) for n in range(36) if n != 4]
    before = _feed(buffer, packets[:20])
    buffer.resync()
    after = _feed(buffer, packets[20:])

    assert [timestamp for _, timestamp in before] == [0]
    assert [timestamp for _, timestamp in after] == [30_000, 33_000]
    assert not buffer.resyncing


def test_a_retransmission_that_comes_in_time_loses_nothing() -> None:
    """A hole that is filled later gives out everything that waited behind it."""
    buffer = _video_buffer()
    packets = [_packet(n, n // 3 * 3000, marker=n % 3 == 2) for n in range(12)]
    late = packets.pop(4)

    assert [timestamp for _, timestamp in _feed(buffer, [*packets, late])] == [0, 3000, 6000, 9000]


@pytest.mark.parametrize("is_video", [True, False])
def test_an_overrun_goes_on(is_video: bool) -> None:
    """A jump beyond the capacity drops what was kept; video asks for a key frame and waits for it."""
    buffer = MediaBuffer(capacity=16, is_video=is_video, starts_frame=lambda _: True, is_key=lambda _: True)
    buffer.add(_packet(1, 0))
    pli, frame = buffer.add(_packet(100, 9000, marker=True))

    assert pli is is_video
    assert frame is not None
    assert frame.timestamp == 9000


def test_a_sender_that_begins_anew_is_followed() -> None:
    """A restart of the sequence numbers far behind is not taken for late packets for ever."""
    buffer = MediaBuffer(capacity=16, is_video=False)
    _feed(buffer, [_packet(n, n) for n in range(30_000, 30_010)])
    heard = _feed(buffer, [_packet(n, n) for n in range(100, 200)])

    assert len(heard) >= 100 - OLD_PACKETS_IN_A_ROW - 1


def test_only_what_is_still_of_use_is_wanted() -> None:
    """A missing packet before what was given out is not asked for again."""
    buffer = MediaBuffer(capacity=16, is_video=False)
    _feed(buffer, [_packet(n, n) for n in range(10, 15)])

    assert buffer.wants(15)
    assert not buffer.wants(12)

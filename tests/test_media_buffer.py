"""The jitter buffer, fed with RTP packets."""

import inspect
from typing import Any

import pytest
from aiortc import RTCRtpReceiver
from aiortc.rtp import RtpPacket

from mirage_rtc.aiortc_private.media_buffer import (
    AUDIO_HOLE_PACKETS,
    HOLES_IN_A_ROW,
    OLD_PACKETS_IN_A_ROW,
    MediaBuffer,
    WholeFrame,
)


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
    buffer = _video_buffer()
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


@pytest.mark.parametrize(("packet_ms", "newer"), [(10, 3), (20, 3), (40, 2), (60, 2)])
def test_a_hole_is_given_up_after_40_ms_of_long_packets(packet_ms: int, newer: int) -> None:
    """The third of 10 or 20 ms, the second of 40 or 60 ms; across the wrap of the timestamp too."""
    buffer = MediaBuffer(capacity=16, is_video=False)
    begin = (1 << 32) - 7 * packet_ms * 48
    packets = [_packet(n, (begin + n * packet_ms * 48) % (1 << 32)) for n in range(12) if n != 5]

    assert [index for index, _ in _feed(buffer, packets)][5:] == [4 + newer] * newer + list(range(5 + newer, 11))


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


def _video_buffer(**more: Any) -> MediaBuffer:
    """Frames of three packets, every tenth a key frame."""
    return MediaBuffer(
        capacity=512,
        is_video=True,
        starts_frame=lambda packet: packet.sequence_number % 3 == 0,
        is_key=lambda packet, _: packet.sequence_number % 30 == 0,
        **more,
    )


def _pictures(*sequences: int) -> list[RtpPacket]:
    return [_packet(n, n // 3 * 3000, marker=n % 3 == 2) for n in sequences]


def test_a_picture_with_a_hole_waits_and_goes_on_at_the_next_key_frame() -> None:
    """Without packet 4 nothing leaves until the key frame of 30 to 32 is whole; then what was before it is no use."""
    buffer = _video_buffer()
    frames = _feed(buffer, _pictures(*range(4), *range(5, 36)))

    assert frames == [(2, 0), (31, 30_000), (34, 33_000)]
    assert not buffer.wants(4)


def test_a_key_frame_with_a_hole_is_waited_for() -> None:
    """Its last packet comes late: then it leaves, whatever is missing before it."""
    buffer = _video_buffer()
    frames = _feed(buffer, _pictures(*range(4), *range(5, 31), 32, 33, 34, 31))

    assert [timestamp for _, timestamp in frames] == [0, 30_000]


def test_a_picture_without_its_first_packet_is_no_key_frame() -> None:
    """The track begins in the middle of a key frame, and waits for the next."""
    buffer = _video_buffer()
    frames = _feed(buffer, _pictures(*range(1, 33)))

    assert [timestamp for _, timestamp in frames] == [30_000]


def test_nothing_is_given_out_before_the_first_key_frame() -> None:
    """No decoder can begin with another."""
    buffer = _video_buffer()

    assert _feed(buffer, _pictures(*range(6, 15))) == []
    assert buffer.resyncing


def test_a_retransmission_that_comes_in_time_loses_nothing() -> None:
    """A hole that is filled later gives out everything that waited behind it."""
    buffer = _video_buffer()
    packets = _pictures(*range(12))
    late = packets.pop(4)

    assert [timestamp for _, timestamp in _feed(buffer, [*packets, late])] == [0, 3000, 6000, 9000]


def test_a_video_overrun_goes_on_at_a_key_frame() -> None:
    """A jump beyond the capacity drops what was kept and asks for a key frame."""
    restarts: list[int] = []
    buffer = _video_buffer(on_restart=lambda: restarts.append(1))
    _feed(buffer, _pictures(*range(4), 5))
    pli, frame = buffer.add(_pictures(1000)[0])

    assert (pli, frame, buffer.resyncing, restarts) == (True, None, True, [1])
    assert [timestamp for _, timestamp in _feed(buffer, _pictures(*range(1001, 1025)))] == [1_020_000]


def test_an_audio_outage_loses_only_what_is_missing() -> None:
    """What waited before a second, long hole still leaves."""
    buffer = MediaBuffer(capacity=16, is_video=False)
    frames = _feed(buffer, [_packet(n, n) for n in (1, 3, 4, 30, 31, 32)])

    assert [timestamp for _, timestamp in frames] == [1, 3, 4, 30, 31, 32]
    assert frames[1:3] == [(3, 3), (3, 4)]


def test_a_sender_that_begins_anew_is_followed() -> None:
    """A restart of the sequence numbers far behind is not taken for late packets for ever."""
    buffer = MediaBuffer(capacity=16, is_video=False)
    _feed(buffer, [_packet(n, n) for n in range(30_000, 30_010)])
    heard = _feed(buffer, [_packet(n, n) for n in range(100, 200)])

    assert len(heard) >= 100 - OLD_PACKETS_IN_A_ROW - 1


def test_old_retransmissions_in_a_row_are_no_new_beginning() -> None:
    """A hundred packets of before a key frame, each asked for in vain, do not throw the buffer back."""
    buffer = _video_buffer()
    _feed(buffer, _pictures(*range(60), *range(150, 153)))
    late = [packet for packet in _pictures(*range(60, 150)) for _ in range(3)]

    assert _feed(buffer, late) == []
    assert _feed(buffer, _pictures(153, 154, 155)) == [(2, 153_000)]


def _holes(buffer: MediaBuffer, count: int, first: int = 0) -> list[int]:
    """For each lost packet, every tenth, how many newer ones came before it was given up."""
    waited = []
    for at in range(first, first + 10 * count, 10):
        for n in (*range(at, at + 4), *range(at + 5, at + 10)):
            frame = buffer.add(_packet(n, n))[1]
            while frame is not None:
                if isinstance(frame, WholeFrame) and frame.lost:
                    waited.append(n - at - 4)
                frame = buffer.take()
    return waited


def test_where_nothing_is_ever_late_a_hole_is_given_up_sooner() -> None:
    """Three newer packets at first, then two, then the first one is enough."""
    buffer = MediaBuffer(capacity=16, is_video=False)

    assert _holes(buffer, 3 * HOLES_IN_A_ROW) == [3] * HOLES_IN_A_ROW + [2] * HOLES_IN_A_ROW + [1] * HOLES_IN_A_ROW


@pytest.mark.parametrize("patience", [0, 1])
def test_a_packet_that_was_only_late_restores_the_patience(patience: int) -> None:
    """Whether it is too late, or fills its hole in time."""
    buffer = MediaBuffer(capacity=16, is_video=False)
    buffer.hole_packets = patience
    heard = [timestamp for _, timestamp in _feed(buffer, [_packet(n, n) for n in (1, 2, 4, 3, 5)])]

    assert heard == ([1, 2, 4, 5] if patience == 0 else [1, 2, 3, 4, 5])
    assert buffer.hole_packets == AUDIO_HOLE_PACKETS


def test_only_what_is_still_of_use_is_wanted() -> None:
    """A missing packet before what was given out is not asked for again."""
    buffer = MediaBuffer(capacity=16, is_video=False)
    _feed(buffer, [_packet(n, n) for n in range(10, 15)])

    assert buffer.wants(15)
    assert not buffer.wants(12)

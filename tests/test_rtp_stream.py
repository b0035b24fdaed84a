"""The packets of one sender, read back by upstream's own parser."""

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, RtpPacket, unwrap_rtx

from mirage_rtc.aiortc_private.rtp_stream import HISTORY_PACKETS, RtpStream, Rtx, extension_block
from tests.virtual_time import FakeClock

SSRC, TYPE = 0x12345678, 97
RTX = Rtx(payload_type=98, ssrc=0x9ABCDEF0)


def _ids() -> HeaderExtensionsMap:
    ids = HeaderExtensionsMap()
    extensions = [
        RTCRtpHeaderExtensionParameters(id=1, uri="urn:ietf:params:rtp-hdrext:sdes:mid"),
        RTCRtpHeaderExtensionParameters(id=2, uri="urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
    ]
    ids.configure(RTCRtpParameters(headerExtensions=extensions))
    return ids


def _stream(clock: FakeClock, rtx: Rtx | None = RTX) -> RtpStream:
    return RtpStream(ssrc=SSRC, payload_type=TYPE, rtx=rtx, clock=clock)


def test_a_packet_is_what_upstream_would_have_made() -> None:
    """Byte for byte, with and without header extensions."""
    for values in (HeaderExtensions(mid="0", audio_level=(False, 31)), HeaderExtensions()):
        stream, ids = _stream(FakeClock()), _ids()
        packet = stream.packet(b"payload", 0xFFFFFFF0, last=True, extension=extension_block(ids, values))
        theirs = RtpPacket.parse(packet, ids)

        assert (theirs.ssrc, theirs.payload_type, theirs.marker, theirs.timestamp) == (SSRC, TYPE, 1, 0xFFFFFFF0)
        assert theirs.payload == b"payload"
        assert theirs.extensions == values
        assert theirs.serialize(ids) == packet


def test_numbers_grow_by_one_and_come_round() -> None:
    """65535 is followed by 0; the first is in the lower half."""
    stream = _stream(FakeClock())
    numbers = [
        RtpPacket.parse(stream.packet(b"x", 0, last=False, extension=b"")).sequence_number for _ in range(70_000)
    ]

    assert numbers[0] < 1 << 15
    assert {(b - a) & 0xFFFF for a, b in zip(numbers, numbers[1:], strict=False)} == {1}


@pytest.mark.parametrize("extension", [b"", extension_block(_ids(), HeaderExtensions(mid="1"))])
def test_a_lost_packet_is_sent_again_on_the_retransmission_stream(extension: bytes) -> None:
    """Upstream's receiver unwraps it to the packet that was lost (RFC 4588)."""
    clock, ids = FakeClock(), _ids()
    stream = _stream(clock)
    packet = RtpPacket.parse(stream.packet(b"payload", 77, last=True, extension=extension), ids)
    first = stream.again(packet.sequence_number, not_within_s=0.05)
    clock.advance(0.1)
    second = stream.again(packet.sequence_number, not_within_s=0.05)
    assert first is not None
    assert second is not None
    wrapped, later = RtpPacket.parse(first, ids), RtpPacket.parse(second, ids)

    assert (wrapped.ssrc, wrapped.payload_type) == (RTX.ssrc, RTX.payload_type)
    assert later.sequence_number == wrapped.sequence_number + 1
    assert unwrap_rtx(wrapped, payload_type=TYPE, ssrc=SSRC).serialize(ids) == packet.serialize(ids)


def test_without_a_retransmission_stream_the_packet_itself_is_sent_again() -> None:
    """A peer that offered no rtx gets the same bytes."""
    stream = _stream(FakeClock(), rtx=None)
    packet = stream.packet(b"payload", 77, last=True, extension=b"")

    assert stream.again(RtpPacket.parse(packet).sequence_number, not_within_s=0.05) == packet


def test_the_same_packet_is_not_sent_again_too_soon() -> None:
    """A second NACK within half a round trip asks for what is on its way."""
    clock = FakeClock()
    stream = _stream(clock)
    number = RtpPacket.parse(stream.packet(b"x", 0, last=True, extension=b"")).sequence_number
    assert stream.again(number, not_within_s=0.05) is not None
    clock.advance(0.04)
    assert stream.again(number, not_within_s=0.05) is None
    clock.advance(0.02)
    assert stream.again(number, not_within_s=0.05) is not None


def test_a_second_of_packets_is_kept_and_no_more() -> None:
    """At 5 Mbit/s (520 packets a second) all of the last second is there; what is older, and what never was, is not."""
    clock = FakeClock()
    stream = _stream(clock)
    numbers = []
    for _ in range(1040):
        packet = stream.packet(bytes(1200), 0, last=False, extension=b"")
        numbers.append(RtpPacket.parse(packet).sequence_number)
        clock.advance(1 / 520)
    there = [stream.again(number, not_within_s=0.05) is not None for number in numbers]

    assert sum(there) >= 519
    assert not any(there[:519])
    assert stream.again((numbers[-1] + 1) & 0xFFFF, not_within_s=0.05) is None


def test_memory_is_bounded() -> None:
    """However many packets are sent at once."""
    stream = _stream(FakeClock())
    for _ in range(3 * HISTORY_PACKETS):
        stream.packet(b"x", 0, last=False, extension=b"")

    assert len(stream._history) == HISTORY_PACKETS


def test_what_is_forgotten_is_gone() -> None:
    """After a change of generation no number finds anything."""
    stream = _stream(FakeClock())
    number = RtpPacket.parse(stream.packet(b"x", 0, last=True, extension=b"")).sequence_number
    stream.forget()

    assert stream.again(number, not_within_s=0.0) is None


def test_a_number_beyond_the_wrap_is_the_one_after_it() -> None:
    """Upstream's parser of a NACK counts on from 65535 to 65536."""
    clock = FakeClock()
    stream = RtpStream(ssrc=1, payload_type=97, rtx=None, clock=clock)
    stream._sequence = 65_535
    for _ in range(2):
        stream.packet(b"x", 0, last=True, extension=b"")

    assert stream.again(65_535, not_within_s=0.0) is not None
    assert stream.again(65_536, not_within_s=0.0) is not None


def test_a_packet_older_than_a_second_is_not_sent_again_though_none_came_after_it() -> None:
    """A sender that pauses makes no newer packet that would push it out."""
    clock = FakeClock()
    stream = RtpStream(ssrc=1, payload_type=97, rtx=None, clock=clock)
    stream._sequence = 7
    stream.packet(b"x", 0, last=True, extension=b"")

    clock.advance(0.9)
    assert stream.again(7, not_within_s=0.0) is not None
    clock.advance(0.2)
    assert stream.again(7, not_within_s=0.0) is None

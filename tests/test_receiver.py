"""The tuned receiver, on a real aiortc receiver with a transport that records."""

import asyncio
import inspect
import random
import threading
from typing import Any, cast

import aiortc.rtcrtpreceiver
import pytest
from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcdtlstransport import RtpRouter
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import RtcpPacket, RtcpPsfbPacket, RtcpRtpfbPacket, RtcpSenderInfo, RtcpSrPacket, RtpPacket

from mirage_rtc.aiortc_private.nack_list import FIRST_INTERVAL_S
from mirage_rtc.aiortc_private.receiver import PLI_EVERY_S, SOURCES_MAX, STALL_S, TunedReceiver
from tests.call_parts import Hands
from tests.rtp_wire import Wire

H264 = RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=97)
TOUCHED = (
    "__kind __codecs __jitter_buffer __decoder_queue __timestamp_mapper __nack_generator __rtx_ssrc "
    "__decoder_thread __stop_decoder _handle_rtp_packet _handle_rtcp_packet _send_rtcp_nack _send_rtcp_pli _run_rtcp "
    "__rtcp_exited"
)


def test_upstream_still_has_the_private_names() -> None:
    """Every private name that is touched is used by upstream's own code."""
    source = inspect.getsource(RTCRtpReceiver)

    assert [name for name in TOUCHED.split() if f"self.{name}" not in source and f"def {name}" not in source] == []


class Rig:
    """A receiver of H.264 pictures of two packets each, a clock set by hand, and what it sent."""

    def __init__(self) -> None:
        self.clock = Hands()
        self.wire = Wire()
        self.upstream = cast("Any", RTCRtpReceiver("video", cast("Any", self.wire)))
        self.upstream._RTCRtpReceiver__codecs[97] = H264
        self.upstream._set_rtcp_ssrc(7)
        self.upstream._RTCRtpReceiver__decoder_thread = object()
        self.tuned = TunedReceiver(self.upstream, clock=self.clock, on_packet=lambda: None)

    async def take(self, sequence: int, *, key: bool = False, ssrc: int = 5) -> None:
        """One packet of picture `sequence // 2`."""
        packet = RtpPacket(
            payload_type=97, sequence_number=sequence, timestamp=sequence // 2 * 4500, marker=sequence % 2, ssrc=ssrc
        )
        packet.payload = b"\x65\x88" if key else b"\x41\x9a"
        await self.upstream._handle_rtp_packet(packet, 0)

    async def tick(self, seconds: float) -> None:
        """Let time pass, then do what `run` does every 20 ms."""
        self.clock.now_s += seconds
        await self.tuned.tick()

    def asked(self, kind: type) -> int:
        """How many RTCP packets of a kind were sent."""
        return sum(isinstance(packet, kind) for data in self.wire.sent for packet in RtcpPacket.parse(data))


async def _with_a_hole() -> Rig:
    rig = Rig()
    for sequence in (0, 1, 2, 4, 5):
        await rig.take(sequence, key=sequence < 2)
    return rig


async def test_a_missing_packet_is_asked_for_again_a_bounded_number_of_times() -> None:
    """Upstream asks once; we ask three times in 200 ms, then for a key frame; what comes then is still used."""
    rig = await _with_a_hole()
    assert rig.asked(RtcpRtpfbPacket) == 1
    for _ in range(12):
        await rig.tick(FIRST_INTERVAL_S / 3)

    assert rig.asked(RtcpRtpfbPacket) == 3
    assert rig.asked(RtcpPsfbPacket) == 1
    await rig.take(3)
    assert rig.tuned._decode.offered == 3


async def test_only_what_is_due_is_asked_for() -> None:
    """Another hole does not ask once more for the first one, as upstream does."""
    rig = await _with_a_hole()
    await rig.take(7)
    lost = [packet.lost for data in rig.wire.sent for packet in RtcpPacket.parse(data) if hasattr(packet, "lost")]

    assert lost == [[3], [6]]


async def test_what_came_is_not_asked_for_again() -> None:
    """A retransmission that arrives ends the asking."""
    rig = await _with_a_hole()
    await rig.take(3)
    for _ in range(5):
        await rig.tick(FIRST_INTERVAL_S * 1.01)

    assert rig.asked(RtcpRtpfbPacket) == 1
    assert rig.asked(RtcpPsfbPacket) == 0


async def test_refused_pictures_ask_for_a_key_frame_twice_a_second() -> None:
    """Upstream asks with every packet after one that the decoder refused."""
    rig = Rig()
    for sequence in range(50):
        rig.upstream._RTCRtpReceiver__decoder_error.set()
        await rig.take(sequence, key=sequence < 2)
        await rig.tick(0.02)

    assert rig.asked(RtcpPsfbPacket) == 2


async def test_an_outage_asks_for_a_key_frame_at_once() -> None:
    """Not for a hundred packets, and not after the stall."""
    rig = await _with_a_hole()
    await rig.take(200)
    await rig.tick(0.02)

    assert rig.asked(RtcpRtpfbPacket) == 1
    assert rig.asked(RtcpPsfbPacket) == 1


async def test_a_picture_that_stalls_asks_for_a_key_frame_and_goes_on_with_it() -> None:
    """250 ms without a whole picture: a PLI, not more than one in 500 ms, and on at the key frame."""
    rig = Rig()
    for sequence in (0, 1, 2):  # the second picture never ends, but nothing is missing
        await rig.take(sequence, key=sequence < 2)
    await rig.tick(STALL_S / 2)
    assert rig.asked(RtcpPsfbPacket) == 0
    await rig.tick(STALL_S)
    await rig.tick(0.1)
    assert rig.asked(RtcpPsfbPacket) == 1
    await rig.tick(PLI_EVERY_S)
    assert rig.asked(RtcpPsfbPacket) == 2
    before = rig.tuned._decode.offered
    for sequence in (8, 9, 10, 11):
        await rig.take(sequence, key=sequence < 10)

    assert rig.tuned._decode.offered == before + 2


async def test_the_peers_reports_say_when_a_frame_was_captured() -> None:
    """From the first report on each pts has a time on the peer's clock, also across the RTP timestamp's wrap."""
    rig = Rig()
    assert rig.tuned.sender_s(0, 90_000) is None
    await rig.take(0, key=True)
    await rig.take(1, key=True)
    info = RtcpSenderInfo(
        ntp_timestamp=round(3_000_000_000.5 * 2**32), rtp_timestamp=-9000 % 2**32, packet_count=1, octet_count=1
    )
    await rig.upstream._handle_rtcp_packet(RtcpSrPacket(ssrc=5, sender_info=info))

    assert rig.tuned.sender_s(0, 90_000) == 3_000_000_000.6
    assert rig.tuned.sender_s(90_000, 90_000) == 3_000_000_001.6


async def test_a_peer_of_many_sources_is_heard_on_few() -> None:
    """Upstream keeps a table of every SSRC and reports on all; over 255 it can send no report, nor stop."""
    rig = Rig()
    router = rig.upstream.transport._rtp_router = RtpRouter()
    for ssrc in range(400):
        router.ssrc_table[ssrc] = rig.upstream
        await rig.take(0, key=True, ssrc=ssrc)

    assert set(router.ssrc_table) == set(rig.upstream._RTCRtpReceiver__remote_streams) == set(range(SOURCES_MAX))


async def test_a_report_that_cannot_be_written_does_not_keep_a_receiver_from_stopping() -> None:
    """Its task goes on, and ends when it is told to."""
    rig = Rig()
    reports: list[None] = []

    async def fail() -> None:
        reports.append(None)
        if len(reports) < 3:
            raise OverflowError
        rig.upstream._RTCRtpReceiver__rtcp_exited.set()

    rig.tuned._report_on = fail
    await asyncio.wait_for(rig.upstream._run_rtcp(), 60)
    assert len(reports) == 3


class _StuckDecoder:
    """Decodes nothing until it is let go."""

    def __init__(self) -> None:
        self.began, self.let_go = threading.Event(), threading.Event()
        self.pictures = 0

    def decode(self, _: JitterFrame) -> list[object]:
        self.pictures += 1
        self.began.set()
        self.let_go.wait(20)
        return []


async def test_closing_with_150_pictures_of_backlog_waits_for_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream decodes all of them before `stop` returns, on the event loop; ours returns before even one is done."""
    decoder = _StuckDecoder()
    monkeypatch.setattr(aiortc.rtcrtpreceiver, "get_decoder", lambda _: decoder)
    upstream = cast("Any", RTCRtpReceiver("video", cast("Any", Wire())))
    upstream._track = RemoteStreamTrack(kind="video")
    tuned = TunedReceiver(upstream, clock=Hands())
    await upstream.receive(RTCRtpReceiveParameters(codecs=[H264]))
    running = asyncio.create_task(tuned.run())
    thread = upstream._RTCRtpReceiver__decoder_thread
    for n in range(150):
        tuned._decode.put((H264, JitterFrame(b"\0\0\1\x65", n)))
    await asyncio.to_thread(decoder.began.wait, 20)
    await upstream.stop()

    assert thread.is_alive()
    decoder.let_go.set()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not thread.is_alive()
    assert decoder.pictures == 1
    assert await upstream._track._queue.get() is None


@pytest.mark.parametrize("kind", ["video", "audio"])
async def test_no_packet_whatever_its_content_breaks_the_receiver(kind: str) -> None:
    """Twenty thousand packets with jumps, repeats, holes and random payloads: nothing raises, nothing piles up."""
    rng = random.Random(7)
    upstream = cast("Any", RTCRtpReceiver(kind, cast("Any", Wire())))
    codec = H264 if kind == "video" else RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, payloadType=97)
    upstream._RTCRtpReceiver__codecs[97] = codec
    upstream._RTCRtpReceiver__decoder_thread = object()
    upstream._track = aiortc.rtcrtpreceiver.RemoteStreamTrack(kind)
    upstream._set_rtcp_ssrc(7)
    clock = Hands()
    tuned = TunedReceiver(upstream, clock=clock)
    sequence = 0
    for n in range(20_000):
        step = rng.choice([1, 1, 1, 1, 1, 1, 2, 3, -1, -2, 0, rng.randrange(65_536) if n % 97 == 0 else 1])
        sequence = (sequence + step) % 65_536
        packet = RtpPacket(
            payload_type=97, sequence_number=sequence, timestamp=rng.choice([n * 960, rng.getrandbits(32)])
        )
        packet.marker, packet.payload, packet.ssrc = rng.getrandbits(1), rng.randbytes(rng.randrange(6)), 5
        await upstream._handle_rtp_packet(packet, 0)
        clock.now_s += 0.01
        await tuned.tick()
        while getattr(tuned._decode, "_tasks", ()) and rng.random() < 0.9:
            tuned._decode.get()
        assert len(tuned._buffer._packets) <= tuned._buffer.capacity
        assert len(getattr(tuned._decode, "_tasks", ())) < 700

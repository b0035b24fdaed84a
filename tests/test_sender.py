"""The tuned sender, on a real aiortc sender with a transport that records; waiting happens in virtual time."""

import asyncio
import inspect
import itertools
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from aiortc import RTCRtpSender
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    pack_remb_fci,
    unwrap_rtx,
)

from mirage_rtc.aiortc_private.sender import ntp_timestamp
from tests.sender_parts import H264, KEY_NAL_TYPES, OPUS, VP8, WALL_OFFSET_S, Parts, in_virtual_time

TOUCHED = (
    "__track __force_keyframe _ssrc _rtx_ssrc __rtx_payload_type __lsr __rtt __mid __rtp_header_extensions_map "
    "__rtp_started __rtp_exited __packet_count __octet_count _enabled "
    "_send_keyframe _next_encoded_frame _send_rtcp _retransmit _run_rtp"
)


def test_upstream_still_has_the_private_names() -> None:
    """Every private name that is touched is used by upstream's own code."""
    source = inspect.getsource(RTCRtpSender)

    assert [name for name in TOUCHED.split() if f"self.{name}" not in source and f"def {name}" not in source] == []


def _is_key(frame: Any) -> bool:
    return any(payload[0] & 0x1F in KEY_NAL_TYPES for payload in frame.payloads)


async def test_what_became_stale_while_it_was_encoded_is_dropped_and_the_next_is_a_key_frame() -> None:
    """A picture of the past is not sent, and nothing sent later refers to it."""
    with ThreadPoolExecutor(1) as threads:
        parts = Parts(threads)
        for _ in range(4):
            parts.track.show()
        first = await parts.upstream._next_encoded_frame(H264)
        second = await parts.upstream._next_encoded_frame(H264)
        parts.track.stale = True
        dropped = await parts.upstream._next_encoded_frame(H264)
        parts.track.stale, parts.track.generation = False, 1
        third = await parts.upstream._next_encoded_frame(H264)

    assert _is_key(first)
    assert not _is_key(second)
    assert dropped is None
    assert _is_key(third)


async def test_the_time_of_encoding_is_told_of_pictures_alone() -> None:
    """By the clock, the wait for a thread included; a sound is encoded at once."""
    told: list[tuple[str, float]] = []

    class Watch:
        def stage(self, stage: str, took_ms: float) -> None:
            told.append((stage, took_ms))

        def dropped(self, reason: str, count: int = 1) -> None:
            raise AssertionError(reason)

    with ThreadPoolExecutor(1) as threads:
        parts = Parts(threads)
        parts.tuned._watch = Watch()
        now_s = itertools.count()
        parts.tuned._clock = lambda: next(now_s) * 0.25
        parts.track.show()
        assert await parts.upstream._next_encoded_frame(H264) is not None
        sound = Parts(threads, kind="audio")
        sound.tuned._watch = Watch()
        sound.track.say(1000)
        await sound.upstream._next_encoded_frame(OPUS)
    assert told == [("encode", 250.0)]


def test_what_became_stale_while_it_waited_for_its_turn_is_not_sent() -> None:
    """Half a key frame is out when the generation ends: the rest stays, and a key frame is asked for."""
    seen: list[int] = []

    async def script(parts: Parts) -> None:
        parts.track.show(size_px=512)
        while len(parts.wire.sent) < 15:  # noqa: ASYNC110 - the transport sets no event
            await asyncio.sleep(0.001)
        seen.append(len(parts.wire.sent))
        parts.track.stale = True
        await asyncio.sleep(1.0)
        seen.append(len(parts.wire.sent))
        assert parts.upstream._RTCRtpSender__force_keyframe

    parts = in_virtual_time(script, kbps=8000)

    assert seen[0] == seen[1] < 40
    assert not any(packet.marker for packet in parts.packets)


def test_a_key_frame_is_spread_over_50_ms_and_a_small_picture_is_not() -> None:
    """The first ten packets and all of a small picture leave in the same instant; the last within 50 ms."""
    times: list[float] = []

    async def script(parts: Parts) -> None:
        send = parts.wire._send_rtp

        async def note(data: bytes) -> None:
            times.append(parts.clock())
            await send(data)

        parts.wire._send_rtp = note  # type: ignore[method-assign]
        parts.track.show(size_px=512)
        await parts.settle(1)
        key_frame.append(len(times))
        for _ in range(3):
            parts.track.show(size_px=32)
        await parts.settle(4)

    key_frame: list[int] = []
    in_virtual_time(script, kbps=3000)
    spread = np.array(times[: key_frame[0]]) - times[0]

    assert key_frame[0] > 20
    assert spread[9] == 0.0
    assert 0.005 < spread[-1] <= 0.052


async def test_the_packets_of_a_frame_share_a_time_and_its_last_one_is_marked() -> None:
    """Numbers are contiguous over frames, times follow the frames' own, and upstream's counters count."""
    with ThreadPoolExecutor(1) as threads:
        parts = Parts(threads, kbps=2000)
        sending = asyncio.ensure_future(parts.upstream._run_rtp(H264))
        for _ in range(3):
            parts.track.show(size_px=128)
        await parts.settle(3)
        sending.cancel()
        await asyncio.gather(sending)
    packets = parts.packets
    times = list(dict.fromkeys(packet.timestamp for packet in packets))
    lasts = [
        packet
        for packet, then in zip(packets, [*packets[1:], None], strict=True)
        if then is None or then.timestamp != packet.timestamp
    ]

    assert [(b - a) & 0xFFFFFFFF for a, b in zip(times, times[1:], strict=False)] == [4500, 4500]
    assert [packet.marker for packet in lasts] == [1, 1, 1]
    assert sum(packet.marker for packet in packets) == 3
    assert {(b.sequence_number - a.sequence_number) & 0xFFFF for a, b in zip(packets, packets[1:], strict=False)} == {1}
    assert {(packet.ssrc, packet.payload_type) for packet in packets} == {(parts.upstream._ssrc, 97)}
    assert parts.upstream._RTCRtpSender__packet_count == len(packets)
    assert parts.upstream._RTCRtpSender__octet_count == sum(len(packet.payload) for packet in packets)


@pytest.mark.parametrize("codec", [H264, VP8])
async def test_a_lost_packet_is_sent_again_at_once_even_while_a_picture_is_encoded(
    codec: RTCRtpCodecParameters,
) -> None:
    """A NACK waits behind nothing; a second one for the same packet right after is ignored."""
    held = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        parts = Parts(threads)
        sending = asyncio.ensure_future(parts.upstream._run_rtp(codec))
        parts.track.show()
        await parts.settle(1)
        lost = parts.packets[0]
        threads.submit(held.wait, 10)
        parts.track.show()
        nack = RtcpRtpfbPacket(
            fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=parts.upstream._ssrc, lost=[lost.sequence_number]
        )
        before = len(parts.wire.sent)
        await parts.upstream._handle_rtcp_packet(nack)
        await parts.upstream._handle_rtcp_packet(nack)
        again = parts.packets[before:]
        held.set()
        sending.cancel()
        await asyncio.gather(sending)

    assert len(again) == 1
    assert (again[0].payload_type, again[0].ssrc) == (98, parts.upstream._rtx_ssrc)
    assert unwrap_rtx(again[0], payload_type=lost.payload_type, ssrc=lost.ssrc).payload == lost.payload


async def test_an_encoder_that_raises_does_not_end_the_sender() -> None:
    """A picture that cannot be encoded is skipped; the next one comes from a new encoder, as a key frame."""
    with ThreadPoolExecutor(1) as threads:
        parts = Parts(threads)
        for broken in (False, True, False):
            parts.track.show(broken=broken)
        await parts.upstream._next_encoded_frame(H264)
        assert await parts.upstream._next_encoded_frame(H264) is None
        assert _is_key(await parts.upstream._next_encoded_frame(H264))


async def test_a_sender_that_is_switched_off_sends_nothing() -> None:
    """Where the peer wants to receive nothing, frames are taken and dropped."""
    with ThreadPoolExecutor(1) as threads:
        parts = Parts(threads)
        parts.upstream._enabled = False
        parts.track.show()

        assert await parts.upstream._next_encoded_frame(H264) is None


@pytest.mark.parametrize("end", ["track", "connection", "bug"])
async def test_whatever_ends_a_sender_upstream_is_told(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`stop` of upstream waits for this; the track is stopped, too."""
    with ThreadPoolExecutor(1) as threads:
        parts = Parts(threads)
        if end != "track":
            error = ConnectionError if end == "connection" else ValueError
            monkeypatch.setattr(parts.wire, "_send_rtp", _raiser(error))
        parts.track.show()
        parts.track.frames.put_nowait(None)
        async with asyncio.timeout(60):
            await parts.upstream._run_rtp(H264)

    assert parts.upstream._RTCRtpSender__rtp_exited.is_set()
    assert parts.track.readyState == "ended"


def _raiser(error: type[Exception]) -> Callable[[bytes], Awaitable[None]]:
    async def fail(data: bytes) -> None:
        await asyncio.sleep(0)
        raise error

    return fail


def _report() -> RtcpSrPacket:
    info = RtcpSenderInfo(ntp_timestamp=9, rtp_timestamp=9, packet_count=1, octet_count=1)
    return RtcpSrPacket(ssrc=1, sender_info=info)


async def test_sender_reports_carry_the_time_of_capture() -> None:
    """Carried back along the media clock to the frame, a report says when it was captured, not when it was sent."""
    report = _report()
    with ThreadPoolExecutor(1) as threads:
        parts = Parts(threads)
        await parts.upstream._send_rtcp([report])
        assert parts.wire.sent == []  # nothing to pair yet
        sending = asyncio.ensure_future(parts.upstream._run_rtp(H264))
        parts.track.show()
        await parts.settle(1)
        timestamp, captured_s = parts.packets[0].timestamp, parts.track.capture_s
        parts.clock.now_s = captured_s + 0.4
        await parts.upstream._send_rtcp([report])
        sending.cancel()
        await asyncio.gather(sending)

    assert report.sender_info.ntp_timestamp == ntp_timestamp(WALL_OFFSET_S + captured_s + 0.4)
    assert report.sender_info.rtp_timestamp == (timestamp + 36_000) & 0xFFFFFFFF
    assert parts.upstream._RTCRtpSender__lsr == (report.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF


async def test_the_round_trip_is_measured_from_our_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that answers a report after 150 ms, seen 200 ms after it was sent: 50 ms (RFC 3550 §6.4.1)."""
    now = SimpleNamespace(time=lambda: 100.2)
    with ThreadPoolExecutor(1) as threads:
        parts = Parts(threads)
        sending = asyncio.ensure_future(parts.upstream._run_rtp(H264))
        parts.track.show()
        await parts.settle(1)
        parts.clock.now_s = parts.track.capture_s + 0.08
        for second in (0.0, 1.0):  # no new frame in between, and yet each report has a name of its own
            parts.clock.advance(second)
            await parts.upstream._send_rtcp([report := _report()])
        parts.upstream._RTCRtpSender__lsr_time = 100.0
        monkeypatch.setattr("aiortc.rtcrtpsender.time", now)
        heard = RtcpReceiverInfo(
            ssrc=parts.upstream._ssrc,
            fraction_lost=0,
            packets_lost=0,
            highest_sequence=0,
            jitter=0,
            lsr=((report.sender_info.ntp_timestamp >> 16) - 65536) & 0xFFFFFFFF,
            dlsr=round(0.15 * 65536),
        )
        await parts.upstream._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[heard]))
        assert parts.upstream._RTCRtpSender__rtt is None  # an answer to the report before
        heard.lsr = (report.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
        await parts.upstream._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[heard]))
        sending.cancel()
        await asyncio.gather(sending)

    rtt_s: Any = parts.upstream._RTCRtpSender__rtt
    assert abs(rtt_s - 0.05) < 0.001


@pytest.mark.parametrize("codec", [H264, VP8])
async def test_the_bitrate_follows_reported_loss_and_no_remb(codec: RTCRtpCodecParameters) -> None:
    """A fifth of the packets lost lowers the encoder's target; an estimate of the peer's does not change it."""
    lossy = RtcpReceiverInfo(ssrc=0, fraction_lost=51, packets_lost=9, highest_sequence=0, jitter=0, lsr=0, dlsr=0)
    with ThreadPoolExecutor(1) as threads:
        parts = Parts(threads)
        parts.track.show()
        await parts.upstream._next_encoded_frame(codec)
        encoder: Any = parts.tuned._encoder._codec
        before = encoder.target_bitrate
        fci = pack_remb_fci(160_000, [parts.upstream._ssrc])
        await parts.upstream._handle_rtcp_packet(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci))
        assert encoder.target_bitrate == before
        lossy.ssrc = parts.upstream._ssrc
        await parts.upstream._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[lossy]))

    assert before == 500_000
    assert 440_000 < encoder.target_bitrate < 460_000


async def test_no_sound_of_a_generation_is_in_a_packet_of_the_next() -> None:
    """Opus holds back 6.5 ms: without a new encoder the first packet of the new generation would play them."""
    with ThreadPoolExecutor(1) as threads:
        parts = Parts(threads, kind="audio")
        for _ in range(10):
            parts.track.say(20_000)
            await parts.upstream._next_encoded_frame(OPUS)
        parts.track.generation = 1
        peaks = []
        decoder = OpusDecoder()
        for _ in range(3):
            parts.track.say(0)
            encoded = await parts.upstream._next_encoded_frame(OPUS)
            for frame in cast("Any", decoder).decode(
                JitterFrame(data=encoded.payloads[0], timestamp=encoded.timestamp)
            ):
                peaks.append(int(np.abs(frame.to_ndarray()).max()))

    assert len(peaks) == 3
    assert max(peaks) <= 2

"""What a peer may have sent again: nothing of the past, and no more than the call's bitrate."""

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.sender_parts import H264, KEY_NAL_TYPES, OPUS, Parts


async def test_packets_of_the_past_are_not_sent_again() -> None:
    """A NACK after a change of generation finds a stale source at first, and then an empty history."""
    with ThreadPoolExecutor(1) as threads:
        parts = Parts(threads)
        sending = asyncio.ensure_future(parts.upstream._run_rtp(H264))
        parts.track.show()
        await parts.settle(1)
        old = parts.packets[0].sequence_number
        parts.track.stale = True
        count = len(parts.wire.sent)
        await parts.upstream._retransmit(old)
        assert len(parts.wire.sent) == count
        parts.track.stale, parts.track.generation = False, 1
        parts.track.show()
        await parts.settle(2)
        count = len(parts.wire.sent)
        await parts.upstream._retransmit(old)
        assert len(parts.wire.sent) == count
        await parts.upstream._retransmit(parts.packets[count - 1].sequence_number)
        assert len(parts.wire.sent) == count + 1
        sending.cancel()
        await asyncio.gather(sending)


@pytest.mark.parametrize("kind", ["video", "audio"])
async def test_packets_of_the_past_are_not_sent_again_by_a_sender_that_pauses(kind: str) -> None:
    """What is on its way while nothing is sent may be of a new generation: the raw packets before it are gone then."""
    with ThreadPoolExecutor(1) as threads:
        parts = Parts(threads, kind)
        sending = asyncio.ensure_future(parts.upstream._run_rtp(H264 if kind == "video" else OPUS))
        show = parts.track.show if kind == "video" else functools.partial(parts.track.say, 9000)
        for _ in range(3):
            show()
        await parts.settle(1)
        old = [packet.sequence_number for packet in parts.packets]
        parts.upstream._enabled = False
        parts.track.generation = 1
        show()
        while not parts.track.frames.empty():  # noqa: ASYNC110 - the track sets no event
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        count = len(parts.wire.sent)
        for sequence in old:
            await parts.upstream._retransmit(sequence)
        assert len(parts.wire.sent) == count
        parts.upstream._enabled = True
        show()
        await parts.settle(sum(packet.marker for packet in parts.packets) + 1)
        if kind == "video":
            assert parts.packets[count].payload[0] & 0x1F in KEY_NAL_TYPES
        sending.cancel()
        await asyncio.gather(sending)


async def test_an_untrue_report_does_not_open_the_way_for_a_flood_of_retransmissions() -> None:
    """A round trip below nothing counts as 20 ms, and what is sent again stays below the bitrate."""
    with ThreadPoolExecutor(1) as threads:
        parts = Parts(threads, kbps=100)
        sending = asyncio.ensure_future(parts.upstream._run_rtp(H264))
        parts.track.show(size_px=256)
        await parts.settle(1)
        parts.upstream._RTCRtpSender__rtt = -60.0
        sequences = [packet.sequence_number for packet in parts.packets]
        count = len(parts.wire.sent)
        for _ in range(5000):
            await parts.upstream._retransmit(sequences[0])
        assert len(parts.wire.sent) == count + 1
        before = len(parts.wire.sent)
        for _ in range(500):
            parts.clock.now_s += 0.011 if parts.clock.now_s < 1000.9 else 0.0
            for sequence in sequences:
                await parts.upstream._retransmit(sequence)
        again_bytes = sum(map(len, parts.wire.sent[before:]))
        assert again_bytes <= 2 * 200_000 / 8 + 1500
        sending.cancel()
        await asyncio.gather(sending)

"""The pacer, in virtual time."""

import asyncio

from mirage_rtc.aiortc_private.pacer import BURST_PACKETS, FRAME_MAX_S, Pacer, offsets_s
from tests import virtual_time
from tests.virtual_time import FakeClock


def test_a_picture_of_a_few_packets_leaves_at_once() -> None:
    """Up to ten packets have no offset."""
    assert offsets_s([1200] * BURST_PACKETS, 100_000) == [0.0] * BURST_PACKETS
    assert offsets_s([], 100_000) == []


def test_what_is_beyond_the_burst_leaves_at_two_and_a_half_times_the_target() -> None:
    """At 4 Mbit/s a packet of 1250 bytes takes 1 ms."""
    offsets = offsets_s([1250] * 20, 4_000_000)

    assert offsets[:BURST_PACKETS] == [0.0] * BURST_PACKETS
    assert offsets[BURST_PACKETS] == 0.001
    assert abs(offsets[-1] - 0.010) < 1e-9
    assert offsets == sorted(offsets)


def test_a_key_frame_takes_at_most_50_ms() -> None:
    """However large it is and however low the target."""
    assert max(offsets_s([1250] * 200, 150_000)) <= FRAME_MAX_S + 1e-9


def test_each_packet_has_its_turn_counted_from_the_first() -> None:
    """Waiting is absolute: a late wake-up does not push the rest back; what is past does not wait."""
    clock = FakeClock()
    turns: list[float] = []

    async def send() -> None:
        pacer = Pacer(clock)
        pacer.begin()
        began_s = clock()
        for offset_s in (0.0, 0.001, 0.010, 0.011, 0.020):
            await pacer.turn(offset_s)
            turns.append(round(clock() - began_s, 6))
            if offset_s == 0.010:
                clock.advance(0.015)  # the loop was busy
        await asyncio.sleep(0)

    virtual_time.run(send(), clock)

    assert turns == [0.0, 0.0, 0.01, 0.025, 0.025]

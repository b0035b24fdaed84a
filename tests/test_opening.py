"""A voice begins with the delay it keeps: from the first hop on that did not wait, and never in haste."""

import numpy as np
import pytest

from mirage_rtc.cushion import Cushion
from mirage_rtc.opening import LONGEST_S, Opening
from mirage_rtc.playout import STARVED_S
from mirage_rtc.voice_pipeline import ConvertedHop
from models.engines import Samples
from tests.sound_path import PACKET_S, Left, SlowSeat, SoundCall
from tests.virtual_time import FakeClock

HOP_S = 0.04


class FirstJobsSlow(SlowSeat):
    """An engine that is cold: its first jobs take long."""

    def __init__(self, *costs_s: float) -> None:
        super().__init__()
        self._first = list(costs_s)
        self._usual_s = self._cost_s

    async def convert(self, samples: Samples) -> ConvertedHop:
        """As usual, but later."""
        self._cost_s = self._first.pop(0) if self._first else self._usual_s
        return await super().convert(samples)


def _noted(clock: FakeClock, ready_s: list[float]) -> tuple[Opening, Cushion, int]:
    """After how many hops it was over."""
    cushion = Cushion(clock)
    opening = Opening(cushion, clock)
    for count, each_s in enumerate(ready_s, 1):
        clock.advance(HOP_S)
        opening.note(each_s, hop_s=HOP_S)
        if opening.is_over:
            return opening, cushion, count
    return opening, cushion, 0


def _haste_s(left: list[Left]) -> float:
    """The most by which a later frame was ahead of an earlier one's beat."""
    beat_s = np.array([each.at_s for each in left]) - np.arange(len(left)) * PACKET_S
    return float((np.maximum.accumulate(beat_s) - beat_s).max())


def test_a_prompt_hop_is_heard_at_once() -> None:
    """Ready 13 ms after its last sample: there is nothing to wait for."""
    _, cushion, count = _noted(FakeClock(), [0.053])

    assert (count, cushion.delay_s) == (1, 0.053)


def test_while_hops_come_ever_sooner_nothing_begins_and_none_of_them_is_counted() -> None:
    """A backlog that is being worked off; then a path that is slow, but steady for 0.3 s."""
    _, cushion, count = _noted(FakeClock(), [0.4, 0.35, 0.3, 0.25, 0.2, 0.15] + [0.1] * 20)

    assert count == 6 + 9
    assert cushion.delay_s == pytest.approx(0.1)


def test_a_path_that_does_not_come_to_rest_is_taken_as_it_is() -> None:
    """Ever sooner for more than a second and a half."""
    clock = FakeClock()
    _noted(clock, [2.0 - 0.01 * n for n in range(100)])

    assert clock() - 1000.0 == pytest.approx(LONGEST_S + HOP_S, abs=HOP_S)


def test_a_slow_first_job_delays_no_frame() -> None:
    """The engine takes 300 ms over its first hop: what waited for that is dropped, the first frame sent is in time."""
    call = SoundCall(passthrough=False, seat=FirstJobsSlow(0.3))
    left = call.run(5.0)

    assert call.delays_ms(left)[:10].max() <= 40 + 30 + 1
    assert call.delays_ms(left).max() <= 40 + 30 + 1
    assert left[0].at_s <= 1000.0 + 0.6
    assert _haste_s(left) <= 0.01 * 5.0 + 0.002


def test_a_backlog_from_before_the_connection_is_not_sent() -> None:
    """Half a second of packets comes at once: nobody hears them, and what follows leaves in its rhythm."""
    call = SoundCall(passthrough=False)
    left = call.run(5.0, late_s=lambda n: 0.5 - n * PACKET_S if n < 25 else 0.0, whole=False)

    assert call.delays_ms(left).max() <= 40 + 30 + 1
    assert _haste_s(left) <= 0.01 * 5.0 + 0.002


def test_a_stall_is_made_up_for_by_three_packets_of_haste_at_most() -> None:
    """The engine takes 400 ms once in the middle of a call: what is older is left out."""
    call = SoundCall(passthrough=False, seat=FirstJobsSlow(*[0.008] * 50, 0.4))
    left = call.run(6.0)

    assert _haste_s(left) <= STARVED_S + PACKET_S
    assert call.delays_ms([each for each in left if each.at_s > 1003.0]).max() <= 40 + 5 + 8 + 20

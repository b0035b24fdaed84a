"""What is asked for, how often, and when no more."""

from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RtcpRtpfbPacket, RtpPacket

from mirage_rtc.aiortc_private.nack_list import FIRST_INTERVAL_S, MAX_TRIES, MIN_INTERVAL_S, MISSING_MAX, NackList
from tests.call_parts import Hands


class Rig:
    """A list, its clock, and the sequence numbers that are of no use any more."""

    def __init__(self, *arrived: int) -> None:
        self.clock = Hands()
        self.useless: set[int] = set()
        self.nacks = NackList(clock=self.clock, wants=lambda sequence: sequence not in self.useless)
        self.arrive(*arrived)

    def arrive(self, *sequences: int) -> None:
        """Packets, at once."""
        for sequence in sequences:
            self.nacks.add(RtpPacket(sequence_number=sequence))

    def asked_for(self, seconds: float, step_s: float = 0.005) -> list[tuple[float, int]]:
        """(after how long, what) for each thing asked for in the next seconds."""
        asked, began_s = [], self.clock.now_s
        while self.clock.now_s < began_s + seconds:
            asked += [(self.clock.now_s - began_s, sequence) for sequence in self.nacks.due()]
            self.clock.now_s += step_s
        return asked

    def learn(self, round_trip_s: float) -> None:
        """Lose a packet, ask, and get it a round trip later; ten times."""
        for n in range(100, 120, 2):
            self.arrive(n, n + 2)
            self.nacks.due()
            self.clock.now_s += round_trip_s
            self.arrive(n + 1)


def test_upstream_asks_as_long_as_add_says_so() -> None:
    """Ours never does: `receiver` asks."""
    packets = [RtpPacket(sequence_number=n) for n in (1, 3)]
    upstream = NackGenerator()
    ours = NackList(clock=Hands(), wants=lambda _: True)

    assert [upstream.add(packet) for packet in packets] == [False, True]
    assert [ours.add(packet) for packet in packets] == [False, False]
    assert ours.due() == [2]


def test_what_is_missing_is_asked_for_at_once_then_at_intervals_then_no_more() -> None:
    """Until a round trip is known: every 60 ms, three times."""
    rig = Rig(1, 2, 4)
    asked = rig.asked_for(1.0)

    assert [sequence for _, sequence in asked] == [3, 3, 3]
    assert asked[0][0] == 0.0
    assert all(0 <= after_s - n * FIRST_INTERVAL_S < 0.02 for n, (after_s, _) in enumerate(asked))
    assert rig.nacks.gave_up()
    assert not rig.nacks.gave_up()
    assert not rig.nacks.waiting


def test_a_fast_path_is_asked_faster_and_more_often() -> None:
    """A round trip of 2 ms: every 20 ms, eight times."""
    rig = Rig(1)
    rig.learn(0.002)
    assert rig.nacks.interval_s == MIN_INTERVAL_S
    rig.arrive(200, 202)

    assert len([sequence for _, sequence in rig.asked_for(1.0) if sequence == 201]) == MAX_TRIES


def test_a_slow_path_is_given_time() -> None:
    """A round trip of 120 ms: asked again after 180 ms."""
    rig = Rig(1)
    rig.learn(0.12)
    rig.arrive(200, 202)
    asked = [after_s for after_s, sequence in rig.asked_for(1.0) if sequence == 201]

    assert len(asked) == 3
    assert 0.18 <= asked[1] < 0.19


def test_lost_answers_do_not_pass_for_a_slow_path() -> None:
    """One in four retransmissions is lost and comes with the second try: the median stays."""
    rig = Rig(1)
    for n in range(100, 130, 2):
        rig.arrive(n, n + 2)
        rig.nacks.due()
        rig.clock.now_s += 0.09 if n % 8 == 0 else 0.03
        rig.arrive(n + 1)

    assert 0.04 < rig.nacks.interval_s < 0.05


def test_what_came_or_is_of_no_use_is_not_asked_for() -> None:
    """Not again, and not given up either."""
    rig = Rig(1, 4)
    assert rig.nacks.due() == [2, 3]
    rig.arrive(2)
    rig.useless.add(3)

    assert rig.asked_for(1.0) == []
    assert not rig.nacks.gave_up()


def test_an_outage_is_given_up_at_once() -> None:
    """A key frame is cheaper than hundreds of packets."""
    rig = Rig(1, 3 + MISSING_MAX)

    assert rig.nacks.due() == []
    assert rig.nacks.gave_up()


def test_a_list_across_the_wrap_can_be_written() -> None:
    """Upstream's writer needs ascending numbers."""
    rig = Rig(65_533, 1)
    due = rig.nacks.due()
    written = RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=2, lost=due)

    assert due == [0, 65_534, 65_535]
    assert RtcpRtpfbPacket.parse(bytes(written)[4:], 1).lost == due


def test_after_a_restart_nothing_before_it_is_missing() -> None:
    """The next packet is the first."""
    rig = Rig(1, 5)
    rig.nacks.clear()
    rig.arrive(300, 301)

    assert rig.nacks.due() == []

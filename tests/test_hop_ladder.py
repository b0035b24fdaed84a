"""The spec's rules for the chunk of the voice, each in its own words, on hops that take no time."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mirage_rtc.hop_ladder import FAIL_ABOVE, FAIL_HOPS, HopLadder, Move, p95
from models.voice_graph import HOPS_MS
from tests.virtual_time import FakeClock

SPEC = Path(__file__).resolve().parent.parent.parent / "shared" / "spec" / "seed.txt"
RULES = (
    "| Accept Threshold | < 0.65 * chunk_ms ratio runtime/real |",
    "| Fail Condition | > 0.80 * chunk_ms for 40 consecutive chunks |",
    "- Increase audio chunk size if runtime/real ratio >0.75 for last 40 chunks",
    "- Decrease audio chunk size if runtime/real ratio <0.55 for last 120 chunks",
)


class Call:
    """A call in virtual time: every hop takes its length, and the engine takes what it is told to."""

    def __init__(self, start_ms: int | None = None) -> None:
        self.ladder = HopLadder(start_ms=start_ms)
        self.clock = FakeClock(0.0)
        self.moves: list[tuple[int, Move]] = []

    def hops(self, count: int, ratio: float) -> "Call":
        """So many hops of that ratio, on whatever rung is in force."""
        return self.run(count, lambda hop_ms: ratio * hop_ms)

    def run(self, count: int, runtime_ms: Callable[[int], float]) -> "Call":
        """So many hops of an engine that takes `runtime_ms` of a hop's length."""
        for _ in range(count):
            hop_ms = self.ladder.hop_ms
            self.clock.advance(hop_ms / 1000)
            move = self.ladder.observe(runtime_ms(hop_ms), hop_ms=hop_ms)
            if move is not None:
                self.moves.append((self.ladder.hops, move))
        return self


@pytest.mark.skipif(not SPEC.is_file(), reason="the spec is not part of the repository")
@pytest.mark.parametrize("rule", RULES)
def test_the_rules_are_the_spec_s(rule: str) -> None:
    """Word for word."""
    assert rule in SPEC.read_text(encoding="utf-8")


def test_accept_threshold_below_0_65_of_chunk_ms_runtime_to_real() -> None:
    """< 0.65, so that 0.65 itself is not accepted; counted whatever else happens."""
    call = Call().hops(3, 0.64).hops(1, 0.65)
    assert (call.ladder.hops, call.ladder.accepted, call.ladder.accept_ratio) == (4, 3, 0.75)
    assert HopLadder().accept_ratio == 1.0


def test_fail_condition_above_0_80_of_chunk_ms_for_40_consecutive_chunks() -> None:
    """At the fortieth, once; what the ladder could do about it was tried before."""
    call = Call().hops(39, 0.81)
    assert not call.ladder.failed
    call.hops(1, 0.81)
    assert call.ladder.failed
    assert call.moves[-1] == (40, Move.FAILED)
    assert call.hops(200, 0.1).moves[-1] == (40, Move.FAILED)
    assert call.ladder.failed


def test_0_80_itself_is_no_failure_and_one_faster_hop_begins_anew() -> None:
    """> 0.80, and consecutive."""
    assert not Call(start_ms=200).hops(400, 0.80).ladder.failed
    call = Call(start_ms=200).hops(39, 0.9).hops(1, 0.8).hops(39, 0.9)
    assert not call.ladder.failed
    assert call.hops(1, 0.9).ladder.failed


def test_increase_audio_chunk_size_if_ratio_above_0_75_for_last_40_chunks() -> None:
    """One rung at the fortieth hop, 1.6 s into the call; not at 0.75."""
    call = Call().hops(39, 0.76)
    assert call.ladder.hop_ms == 40
    call.hops(1, 0.76)
    assert (call.ladder.hop_ms, call.moves) == (60, [(40, Move.GROW)])
    assert call.clock() == pytest.approx(1.6)
    assert Call().hops(200, 0.75).ladder.hop_ms == 40


def test_decrease_audio_chunk_size_if_ratio_below_0_55_for_last_120_chunks() -> None:
    """One rung at the hundred and twentieth; not at 0.55."""
    call = Call(start_ms=60).hops(119, 0.54)
    assert call.ladder.hop_ms == 60
    assert call.hops(1, 0.54).moves == [(120, Move.SHRINK)]
    assert call.ladder.hop_ms == 40
    assert Call(start_ms=60).hops(500, 0.55).ladder.hop_ms == 60


def test_between_the_thresholds_nothing_moves() -> None:
    """Hysteresis: an hour at 0.65."""
    assert Call(start_ms=80).hops(45_000, 0.65).moves == []


def test_it_never_leaves_the_ladder() -> None:
    """Up to 200 ms and down to 40 ms, one rung at a time."""
    up = Call()
    seen = [up.ladder.hop_ms]
    for _ in range(20):
        up.hops(40, 0.78)
        seen.append(up.ladder.hop_ms)
    assert tuple(dict.fromkeys(seen)) == HOPS_MS
    assert Call().hops(2000, 0.1).moves == []
    down = Call(start_ms=200).hops(120 * 20, 0.1)
    assert down.ladder.hop_ms == 40
    assert len(down.moves) == len(HOPS_MS) - 1


def test_a_move_starts_the_count_afresh() -> None:
    """39 further slow hops on the new rung are not enough."""
    call = Call().hops(40, 0.78).hops(39, 0.78)
    assert call.ladder.hop_ms == 60
    assert call.hops(1, 0.78).ladder.hop_ms == 80


def test_the_95th_percentile_grows_a_rung_although_the_mean_is_low() -> None:
    """One hop in ten above 0.80 is more than one in twenty; one in twenty-one is not."""
    call = Call()
    for _ in range(4):
        call.hops(9, 0.3).hops(1, 0.9)
    assert call.moves[0] == (20, Move.GROW)
    calm = Call()
    for _ in range(10):
        calm.hops(20, 0.3).hops(1, 0.9)
    assert calm.moves == []


def test_the_95th_percentile_forbids_a_shrink() -> None:
    """The mean is 0.35, and a hop in ten at 0.78 would be late on a shorter rung."""
    call = Call(start_ms=60)
    for _ in range(60):
        call.hops(9, 0.3).hops(1, 0.78)
    assert call.moves == []


def test_a_slow_start_grows_before_it_can_fail() -> None:
    """34 ms a hop, whatever its length, as a GPU takes: 0.85 of 40 ms; on the next rung it is 0.57."""
    call = Call().run(4000, lambda _: 34.0)
    assert call.ladder.hop_ms == 60
    assert call.moves == [(20, Move.GROW)]


def test_it_may_fail_before_it_has_grown_to_a_hop_that_would_do() -> None:
    """50 ms a hop would be 0.63 of 80 ms: slow hops are counted across moves, and the README says so."""
    call = Call().run(100, lambda _: 50.0)
    assert call.ladder.failed
    assert call.moves == [(20, Move.GROW), (FAIL_HOPS, Move.FAILED)]
    words = " ".join((Path(__file__).resolve().parent.parent / "README.md").read_text("utf-8").split())
    assert f"takes over {FAIL_ABOVE:.0%} of its hop for {FAIL_HOPS} hops in a row".replace("%", " %") in words
    assert "too slow at every length" not in words


def test_a_shrink_taken_back_is_tried_ever_more_rarely() -> None:
    """32.5 ms a hop is 0.54 of 60 ms and 0.81 of 40 ms: each attempt waits twice as long, up to 960 hops."""
    call = Call(start_ms=60).run(5500, lambda _: 32.5)
    shrinks = [at for at, move in call.moves if move is Move.SHRINK]
    waits = [later - earlier - 20 for earlier, later in zip(shrinks, shrinks[1:], strict=False)]
    assert shrinks[0] == 120
    assert waits == [240, 480, 960, 960, 960, 960]


def test_a_shrink_that_held_makes_the_next_one_easy_again() -> None:
    """After a taken-back attempt, two rungs down: the second needs 120 hops."""
    call = Call(start_ms=80).hops(120, 0.5).hops(40, 0.78)
    assert call.hops(239, 0.5).ladder.hop_ms == 80
    assert call.hops(1, 0.5).ladder.hop_ms == 60
    assert call.hops(240, 0.5).ladder.hop_ms == 40
    assert Call(start_ms=80).hops(240, 0.5).ladder.hop_ms == 40


def test_hops_cut_before_a_move_do_not_count_for_the_new_rung() -> None:
    """They are counted, and can complete a failure."""
    ladder = HopLadder(start_ms=60)
    for _ in range(300):
        assert ladder.observe(4.0, hop_ms=40) is None
    assert (ladder.hop_ms, ladder.accepted) == (60, 300)
    moves = [ladder.observe(39.0, hop_ms=40) for _ in range(40)]
    assert moves[:-1] == [None] * 39
    assert moves[-1] is Move.FAILED


def test_over_60_ms_the_call_is_over_250_ms() -> None:
    """A state to be shown."""
    assert [HopLadder(start_ms=hop).over_budget for hop in (40, 60, 80, 200)] == [False, False, True, True]


def test_what_cannot_be_is_refused() -> None:
    """A hop of no length, a start that is not on the ladder."""
    with pytest.raises(ValueError, match="length"):
        HopLadder().observe(1.0, hop_ms=0)
    with pytest.raises(ValueError, match="not in"):
        HopLadder(start_ms=50)


def test_the_percentile_is_the_nearest_rank() -> None:
    """Of twenty the second largest, of one itself."""
    assert p95([float(value) for value in range(20)]) == 18
    assert p95([3.0]) == 3

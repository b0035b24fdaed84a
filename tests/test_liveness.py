"""How long a peer has been silent, and whether that is its network's fault."""

from mirage_rtc.liveness import STALLED_S, STEADY_PACKETS, Liveness
from tests.call_parts import Hands


def test_silence_is_measured_from_the_last_packet() -> None:
    """`hear` sets the silence back."""
    clock = Hands()
    liveness = Liveness(clock)
    clock.now_s += 4.0
    assert liveness.silent_s == 4.0
    liveness.hear()

    assert liveness.silent_s == 0.0


def test_a_steady_stream_that_breaks_off_has_stalled() -> None:
    """Fifty packets a second, then none: stalled after 0.6 s, and no longer when the first one comes."""
    clock = Hands()
    liveness = Liveness(clock)
    for _ in range(50):
        clock.now_s += 0.02
        liveness.hear()
        assert not liveness.stalled
    clock.now_s += STALLED_S - 0.01
    assert not liveness.stalled
    clock.now_s += 0.02
    assert liveness.stalled
    liveness.hear()

    assert not liveness.stalled


def test_a_peer_that_seldom_sends_is_never_taken_for_stalled() -> None:
    """A listener sends reports and checks only, each second or later."""
    clock = Hands()
    liveness = Liveness(clock)
    for _ in range(STEADY_PACKETS * 2):
        clock.now_s += 1.0
        assert not liveness.stalled
        liveness.hear()

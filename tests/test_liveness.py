"""How long a peer has been silent."""

from mirage_rtc.liveness import Liveness


def test_silence_is_measured_from_the_last_packet() -> None:
    """`hear` sets the silence back."""
    now = [0.0]
    liveness = Liveness(lambda: now[0])
    now[0] = 4.0
    assert liveness.silent_s == 4.0
    liveness.hear()

    assert liveness.silent_s == 0.0

"""The guard at the cuts: silent while sound goes on, one short fade where it does not."""

import numpy as np

from models.voice_seam import SeamGuard

RATE_HZ = 40_000
HOP, TAIL = RATE_HZ // 25, RATE_HZ // 25


def tone(first: int, count: int, hz: float = 200.0, phase: float = 0.0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Samples of a tone from an absolute index on."""
    at = np.arange(first, first + count) / RATE_HZ
    return np.asarray(0.3 * np.sin(2 * np.pi * hz * at + phase), np.float32)


def test_a_sound_that_goes_on_is_not_touched() -> None:
    """To the last bit, and nothing is counted."""
    guard = SeamGuard(RATE_HZ)
    for number in range(5):
        hop = tone(number * HOP, HOP)
        assert np.array_equal(guard.join(hop, tone((number + 1) * HOP, TAIL)), hop)
    assert guard.fades == 0


def test_a_discontinuity_is_faded_once_over_10_ms_and_counted() -> None:
    """The turned-over tone would step by 0.6; the fade begins at the old and ends at the new."""
    guard = SeamGuard(RATE_HZ)
    before = guard.join(tone(0, HOP, phase=1.5), tone(HOP, TAIL, phase=1.5))
    hop = tone(HOP, HOP, phase=1.5 + np.pi)
    joined = guard.join(hop, tone(2 * HOP, TAIL, phase=1.5 + np.pi))
    assert guard.fades == 1
    assert abs(hop[0] - before[-1]) > 0.5
    assert abs(joined[0] - before[-1]) < 0.02
    assert np.array_equal(joined[RATE_HZ // 100 :], hop[RATE_HZ // 100 :])
    after = tone(2 * HOP, HOP, phase=1.5 + np.pi)
    assert np.array_equal(guard.join(after, tone(0, TAIL)), after)
    assert guard.fades == 1


def test_silence_is_no_discontinuity_and_its_end_is() -> None:
    """Noise below -70 dB correlates with nothing; sound out of silence that promised none is faded in."""
    guard, random = SeamGuard(RATE_HZ), np.random.default_rng(1)
    for _ in range(5):
        quiet = (1e-4 * random.standard_normal(HOP)).astype(np.float32)
        guard.join(quiet, quiet)
    assert guard.fades == 0
    assert abs(guard.join(tone(0, HOP, phase=1.5), tone(HOP, TAIL))[0]) < 0.01
    assert guard.fades == 1

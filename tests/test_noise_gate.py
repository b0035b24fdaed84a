"""The noise gate: open before the sound that opens it, shut slowly after the last one, the same at every hop."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.noise_gate import CLOSING_FRAMES, HOLD_FRAMES, HYSTERESIS_DB, NoiseGate

RATE_HZ = 16_000
MS = RATE_HZ // 1000
DELAY_MS = 62.5
Array = NDArray[np.float32]


def hum(*parts: tuple[int, float]) -> Array:
    """A tone of these lengths in ms and levels in dB of full scale."""
    level_db = np.concatenate([np.full(ms * MS, db) for ms, db in parts])
    turns = 2 * np.pi * 300 * np.arange(len(level_db)) / RATE_HZ
    return np.asarray(np.sqrt(2) * 10 ** (level_db / 20) * np.sin(turns), np.float32)


def gains(sound: Array, threshold_db: float | None, hop_ms: int = 40, delay_ms: float = DELAY_MS) -> Array:
    """What is left of 1, by the moment of what was said."""
    gate, made = NoiseGate(RATE_HZ), []
    gate.set(threshold_db)
    for first in range(0, len(sound) - hop_ms * MS + 1, hop_ms * MS):
        gate.listen(sound[first : first + hop_ms * MS])
        made.append(gate.apply(np.ones(hop_ms * MS, np.float32), delay_ms))
    return np.concatenate(made)[round(delay_ms * MS) :]


def test_an_open_gate_leaves_the_very_samples() -> None:
    """No gate, and none that had to shut yet."""
    sound = np.ones(640, np.float32)
    for threshold_db in (None, -60.0):
        gate = NoiseGate(RATE_HZ)
        gate.set(threshold_db)
        gate.listen(hum((40, -20.0)))
        assert gate.apply(sound, DELAY_MS) is sound


def test_it_opens_40_ms_before_what_opens_it() -> None:
    """Out of the engine's delay, so that nothing waits for it: shut until then, fully open after 10 ms."""
    left = gains(hum((600, -70.0), (200, -30.0), (600, -70.0)), -50.0)
    assert (left[400 * MS : 559 * MS] == 0).all()
    assert (left[571 * MS : 800 * MS] == 1).all()


def test_it_stays_open_for_a_while_and_shuts_slowly() -> None:
    """150 ms after the last loud frame, then over 50 ms."""
    left = gains(hum((600, -30.0), (800, -70.0)), -50.0)
    shut_ms = 600 + HOLD_FRAMES * 10
    assert (left[: (shut_ms - 11) * MS] == 1).all()
    assert (left[(shut_ms + CLOSING_FRAMES * 10) * MS :] == 0).all()
    assert np.abs(np.diff(left)).max() <= 1 / (10 * MS) + 1e-6


def test_a_sound_that_is_nearly_loud_enough_keeps_it_open_and_does_not_open_it() -> None:
    """6 dB of hysteresis: the end of a word is quieter than its beginning."""
    nearly = -50.0 - HYSTERESIS_DB / 2
    left = gains(hum((800, nearly), (300, -30.0), (600, nearly), (400, -60.0)), -50.0)
    assert (left[1000 * MS : 1700 * MS] == 1).all()
    assert left[-1] == 0
    quiet = gains(hum((600, -70.0), (600, nearly)), -50.0)
    assert (quiet[400 * MS :] == 0).all()


def test_an_offset_is_not_loud() -> None:
    """A microphone's direct current says nothing."""
    left = gains(hum((900, -70.0)) + np.float32(0.2), -50.0)
    assert left[-1] == 0


@pytest.mark.parametrize("hop_ms", [20, 60, 80, 120, 200])
def test_the_hop_does_not_matter(hop_ms: int) -> None:
    """To the last sample."""
    sound = hum((600, -70.0), (230, -30.0), (370, -70.0), (110, -40.0), (1090, -70.0))
    one, other = gains(sound, -50.0), gains(sound, -50.0, hop_ms)
    shared = min(len(one), len(other))
    assert shared > 2000 * MS
    assert np.array_equal(one[:shared], other[:shared])


def test_an_engine_without_delay_gets_a_gate_without_grace() -> None:
    """What is not there cannot be looked back into; a little of the delay is used as far as it goes."""
    sound = hum((600, -70.0), (400, -30.0))
    late, little = gains(sound, -50.0, delay_ms=0.0), gains(sound, -50.0, delay_ms=25.0)
    assert late[599 * MS] == 0
    assert late[611 * MS] == 1
    assert little[591 * MS] == 1


def test_a_delay_that_grows_is_no_click() -> None:
    """A call's delay grows when an imported voice comes: the gate goes over to the earlier moment in 10 ms."""
    gate, made = NoiseGate(RATE_HZ), []
    gate.set(-50.0)
    sound = hum((400, -70.0), (400, -30.0), (800, -70.0), (400, -30.0))
    for number, first in enumerate(range(0, len(sound), 640)):
        gate.listen(sound[first : first + 640])
        made.append(gate.apply(np.ones(640, np.float32), 42.0 if number < 11 else 95.0))
    left = np.concatenate(made)
    assert {0.0, 1.0} <= set(left)
    assert left[11 * 640 - 1] == 1  # open, and what is played next was said before it opened
    assert left[11 * 640 + 170] == 0
    assert np.abs(np.diff(left)).max() <= 2 / (10 * MS) + 1e-6


def test_turned_on_and_off_while_it_is_quiet() -> None:
    """Slowly shut, and open again before the next hop."""
    gate, made = NoiseGate(RATE_HZ), []
    for number, first in enumerate(range(0, 32_000, 640)):
        gate.set(-50.0 if 10 <= number < 30 else None)
        gate.listen(hum((2000, -70.0))[first : first + 640])
        made.append(gate.apply(np.ones(640, np.float32), DELAY_MS))
    left = np.concatenate(made)
    assert left[25 * 640] == 0
    assert left[-1] == left[0] == 1
    assert np.abs(np.diff(left)).max() <= 1 / (10 * MS) + 1e-6
    assert not gate.shut

"""Sample-rate conversion in blocks."""

import numpy as np
import pytest

from models.resample import Resampler

PAIRS = [(48_000, 24_000), (24_000, 48_000), (16_000, 24_000), (24_000, 16_000), (44_100, 24_000)]


def tone(hz: float, rate_hz: int, seconds: float = 0.3) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_blocks_give_what_the_whole_gives(from_hz: int, to_hz: int) -> None:
    """State is carried: cutting the signal changes nothing, and every block has its exact length."""
    wave = np.random.default_rng(1).standard_normal(from_hz // 5)
    blocks, stream = wave.reshape(10, -1), Resampler(from_hz, to_hz)
    parts = [stream.convert(block) for block in blocks]
    assert {len(part) for part in parts} == {blocks.shape[1] * to_hz // from_hz}
    np.testing.assert_allclose(np.concatenate(parts), Resampler(from_hz, to_hz).convert(wave), atol=1e-12)


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_tone_arrives_late_by_the_declared_delay_and_otherwise_the_same(from_hz: int, to_hz: int) -> None:
    """The delay is what `delay_s` says, the level is kept to 0.1 %."""
    resampler = Resampler(from_hz, to_hz)
    out = resampler.convert(tone(997.0, from_hz))
    expected = np.sin(2 * np.pi * 997.0 * (np.arange(len(out)) / to_hz - resampler.delay_s))
    settled = slice(to_hz // 50, None)
    np.testing.assert_allclose(out[settled], expected[settled], atol=1e-3)


def test_what_the_lower_rate_cannot_hold_is_removed() -> None:
    """13 kHz does not fold into a 24 kHz signal: at least 70 dB down."""
    out = Resampler(48_000, 24_000).convert(tone(13_500.0, 48_000))
    assert np.abs(out[500:-1]).max() < 10 ** (-70 / 20)


def test_a_block_that_ends_between_samples_is_refused() -> None:
    """Its phase could not be carried."""
    with pytest.raises(ValueError, match="whole number"):
        Resampler(48_000, 24_000).convert(np.zeros(481))

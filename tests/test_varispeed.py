"""Resampling by a ratio that changes: exact at 1, clean elsewhere, without a seam."""

import numpy as np
import pytest

from mirage_rtc.varispeed import DELAY_SAMPLES, Varispeed
from models.engines import Samples

RATE_HZ = 48_000
BLOCK = 960


def _sine(seconds: float, tone_hz: float = 1000.0) -> Samples:
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return np.asarray(0.5 * np.sin(2 * np.pi * tone_hz * at), np.float32)


def _converted(wave: Samples, steps: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Samples:
    stream = Varispeed()
    blocks = wave.reshape(-1, BLOCK)
    return np.concatenate([stream.convert(block, float(step))[0] for block, step in zip(blocks, steps, strict=True)])


def _snr_db(heard: Samples, cycles: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    """How far everything but a tone of known phase lies under it."""
    shape = np.stack([np.sin(2 * np.pi * cycles), np.cos(2 * np.pi * cycles)], axis=1)
    level = np.linalg.lstsq(shape, heard, rcond=None)[0]
    rest = heard - shape @ level
    return float(10 * np.log10((shape @ level).var() / rest.var()))


def test_at_ratio_1_nothing_changes_but_a_third_of_a_millisecond() -> None:
    """Bit by bit what went in, 16 samples later."""
    wave = np.random.default_rng(1).normal(0, 0.2, 50 * BLOCK).astype(np.float32)

    assert np.array_equal(_converted(wave, np.ones(50))[DELAY_SAMPLES:], wave[:-DELAY_SAMPLES])


@pytest.mark.parametrize("ppm", [20, 200, -200, 5000, -5000])
@pytest.mark.parametrize("tone_hz", [1000.0, 10_000.0])
def test_a_sine_keeps_its_signal_to_noise_ratio(ppm: float, tone_hz: float) -> None:
    """Over 90 dB at any correction, and the pitch is moved by just that."""
    step = 1 + ppm * 1e-6
    heard = _converted(_sine(2.0, tone_hz), np.full(100, step))[BLOCK:]

    assert _snr_db(heard, tone_hz * step * np.arange(len(heard)) / RATE_HZ) > 90


def test_a_ratio_that_ramps_leaves_no_seam() -> None:
    """While the step grows block by block each sample is where the sum of all steps puts it."""
    steps = 1 + np.linspace(0, 500e-6, 100)
    stream, heard, at = Varispeed(), [], []
    for n, block in enumerate(_sine(2.0).reshape(-1, BLOCK)):
        samples, first = stream.convert(block, float(steps[n]))
        heard.append(samples)
        at.append(n * BLOCK + first + steps[n] * np.arange(len(samples)))

    assert _snr_db(np.concatenate(heard)[BLOCK:], 1000.0 / RATE_HZ * np.concatenate(at)[BLOCK:]) > 90


@pytest.mark.parametrize("ppm", [10, -10, 100, -100])
def test_it_finds_its_way_back_to_whole_positions(ppm: float) -> None:
    """From wherever it is, a homing block ends at a whole sample, and no step on the way is larger than asked for."""
    stream, steps = Varispeed(), []
    wave = _sine(30.0).reshape(-1, BLOCK)
    for block in wave[:77]:
        stream.convert(block, 1 + 173e-6)
    assert not stream.is_whole
    for block in wave[77:]:
        if stream.is_whole:
            break
        steps.append(stream.homing_step(BLOCK, 1 + ppm * 1e-6))
        stream.convert(block, steps[-1])

    assert stream.is_whole
    assert max(abs(step - 1) for step in steps) <= abs(ppm) * 1e-6 * 1.001


def test_nothing_said_before_a_flush_comes_out_after_it() -> None:
    """The last samples wait inside for their neighbours; a flush forgets them."""
    stream = Varispeed()
    stream.convert(np.full(BLOCK, 0.5, np.float32), 1.0)
    stream.flush()

    assert not stream.convert(np.zeros(BLOCK, np.float32), 1.0)[0].any()

"""The noise gate, and frames that sound like nothing."""

import numpy as np
import pytest

from models.voice_frames import BINS, RATE_HZ, gate, silent_frames


@pytest.mark.parametrize(("level_db", "gain"), [(-40.0, 1.0), (-68.0, 0.5), (-80.0, 0.0)])
def test_the_gate_closes_softly_between_minus_62_and_minus_74_db(level_db: float, gain: float) -> None:
    """By the RMS around each centre."""
    noise = np.random.default_rng(1).standard_normal(RATE_HZ)
    signal = noise / noise.std() * 10 ** (level_db / 20)
    gains = gate(signal, np.arange(1000.0, 20_000.0, 120.0))
    assert gains.mean() == pytest.approx(gain, abs=0.05)


def test_silent_frames_have_no_gain_and_no_pitch() -> None:
    """As many as asked for."""
    frames = silent_frames(3)
    assert frames.power.shape == (3, BINS)
    assert not frames.gain.any()
    assert not frames.f0_hz.any()

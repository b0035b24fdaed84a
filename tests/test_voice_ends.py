"""The way to the engines' inner rate and back."""

import numpy as np
import pytest

from models.voice_ends import VoiceEnds, limit


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_there_and_back_is_the_sound_delayed_by_what_is_declared(rate_hz: int) -> None:
    """A tone of 440 Hz comes back within 1 %, hop by hop."""
    ends, hop = VoiceEnds(sample_rate_hz=rate_hz, hop_ms=40), rate_hz // 25
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(20 * hop) / rate_hz)).astype(np.float32)
    out = np.concatenate([ends.leave(ends.enter(part)) for part in tone.reshape(-1, hop)])
    late = round(ends.delay_s * rate_hz)
    np.testing.assert_allclose(out[hop + late :], tone[hop : len(tone) - late], atol=0.003)


def test_dc_leaves_within_half_a_second() -> None:
    """And so does what is no number."""
    ends = VoiceEnds(sample_rate_hz=48_000, hop_ms=20)
    inner = [ends.enter(np.full(960, 0.5, dtype=np.float32)) for _ in range(50)]
    assert np.abs(inner[-1]).max() < 1e-3
    assert np.isfinite(ends.enter(np.full(960, np.nan, dtype=np.float32))).all()


def test_the_limiter_leaves_quiet_sound_alone_and_never_reaches_full_scale() -> None:
    """Untouched up to 0.8, in order above."""
    ramp = np.linspace(0.0, 4.0, 401)
    out = limit(ramp)
    np.testing.assert_allclose(out[:80], ramp[:80], rtol=1e-6)
    assert np.all(np.diff(out) >= 0)
    assert out.max() < 0.99


@pytest.mark.parametrize(("rate_hz", "hop_ms"), [(44_100, 40), (48_000, 30), (48_000, 220)])
def test_odd_rates_and_hops_are_refused(rate_hz: int, hop_ms: int) -> None:
    """With a sentence."""
    with pytest.raises(ValueError, match="must be 20 to 200 ms|runs at 16000"):
        VoiceEnds(sample_rate_hz=rate_hz, hop_ms=hop_ms)

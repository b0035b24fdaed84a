"""Periods of a held tone, laid down anew."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.psola_synthesis import LEAD_SAMPLES, PsolaSynthesiser
from models.voice_frames import BINS, FRAME_SAMPLES, RATE_HZ, Frames
from models.voice_shaping import Shaped

Array = NDArray[np.float64]
ORIGIN, AHEAD = 2880, 720


def tone(f0_hz: float, seconds: float = 1.2) -> Array:
    """Pulses through a resonance at 1 kHz."""
    pulses = np.zeros(int(seconds * RATE_HZ))
    pulses[np.arange(0, len(pulses), RATE_HZ / f0_hz).astype(int)] = 1.0
    t = np.arange(400) / RATE_HZ
    return np.convolve(pulses, 0.3 * np.exp(-600 * t) * np.sin(2 * np.pi * 1000 * t))[: len(pulses)]


def frames(count: int, f0_hz: float, aperiodicity: float = 0.0) -> Frames:
    return Frames(
        f0_hz=np.full(count, f0_hz),
        power=np.full((count, BINS), 1e-3),
        aperiodicity=np.full((count, BINS), aperiodicity),
        gain=np.ones(count),
    )


def resound(wave: Array, own_hz: float, out_hz: float, ratio: float = 1.0, hop_frames: int = 8) -> Array:
    """The tone in hops, with another pitch and formants."""
    synthesiser, hop = PsolaSynthesiser(seed=1), hop_frames * FRAME_SAMPLES
    shaped = Shaped(
        frames=frames(hop_frames, out_hz),
        formant_ratio=np.full(hop_frames, ratio),
        colour=np.zeros((hop_frames, BINS)),
    )
    padded = np.concatenate([np.zeros(ORIGIN), wave])
    hops = (len(wave) - AHEAD) // hop
    parts = [
        synthesiser.synthesise(
            padded[i * hop : i * hop + ORIGIN + hop + AHEAD], ORIGIN, frames(hop_frames, own_hz), shaped
        )
        for i in range(hops)
    ]
    assert all(len(part) == hop for part in parts)
    return np.concatenate(parts)


def spectrum(wave: Array) -> tuple[Array, Array]:
    part = wave[len(wave) // 4 :]
    hz = np.asarray(np.arange(len(part) // 2 + 1) * (RATE_HZ / len(part)), dtype=np.float64)
    return hz, np.asarray(np.abs(np.fft.rfft(part * np.hanning(len(part)))), dtype=np.float64)


def test_at_its_own_pitch_a_tone_comes_back_in_place() -> None:
    """Correlation over 0.98 with the input delayed by LEAD_SAMPLES, give or take a period."""
    wave = tone(120.0)
    out = resound(wave, 120.0, 120.0)[6000:18_000]
    best = max(
        np.corrcoef(out, wave[6000 - lag : 18_000 - lag])[0, 1] for lag in range(LEAD_SAMPLES, LEAD_SAMPLES + 201)
    )
    assert best > 0.98


@pytest.mark.parametrize("out_hz", [90.0, 160.0, 240.0])
def test_the_pitch_is_the_one_asked_for_and_the_formant_stays(out_hz: float) -> None:
    """Energy sits on the new harmonics; its centre stays near 1 kHz."""
    hz, amplitude = spectrum(resound(tone(120.0), 120.0, out_hz))
    nearest = np.abs(hz / out_hz - np.round(hz / out_hz)) * out_hz
    power = amplitude**2 * (hz > 300)
    assert power[nearest < 6].sum() > 0.9 * power.sum()
    assert (hz * power).sum() / power.sum() == pytest.approx(1000, rel=0.08)


@pytest.mark.parametrize("ratio", [0.85, 1.2])
def test_formants_move_by_the_ratio_and_the_pitch_stays(ratio: float) -> None:
    """The resonance at 1 kHz moves, the harmonics of 120 Hz remain."""
    hz, amplitude = spectrum(resound(tone(120.0), 120.0, 120.0, ratio))
    nearest = np.abs(hz / 120 - np.round(hz / 120)) * 120
    power = amplitude**2 * (hz > 300)
    assert power[nearest < 6].sum() > 0.9 * power.sum()
    assert (hz * power).sum() / power.sum() == pytest.approx(1000 * ratio, rel=0.08)


@pytest.mark.parametrize("hop_frames", [4, 40])
def test_the_hop_decides_nothing(hop_frames: int) -> None:
    """The same samples as with hops of 8 frames, to rounding."""
    wave = tone(120.0)
    one, other = resound(wave, 120.0, 150.0), resound(wave, 120.0, 150.0, hop_frames=hop_frames)
    count = min(len(one), len(other))
    np.testing.assert_allclose(one[:count], other[:count], atol=1e-9)


def test_without_a_pitch_only_noise_sounds() -> None:
    """Unvoiced frames take nothing of the wave: two waves give the same output."""
    synthesiser = [PsolaSynthesiser(seed=1) for _ in range(2)]
    rest = frames(8, 0.0, aperiodicity=1.0)
    shaped = Shaped(frames=rest, formant_ratio=np.ones(8), colour=np.zeros((8, BINS)))
    waves = (tone(120.0)[:4560], np.zeros(4560))
    outs = [s.synthesise(wave, ORIGIN, rest, shaped) for s, wave in zip(synthesiser, waves, strict=True)]
    assert outs[0].any()
    np.testing.assert_array_equal(outs[0], outs[1])

"""WORLD frames out of a sliding window."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.voice_frames import BINS, RATE_HZ, Frames
from models.world_analysis import LOOK_AHEAD_MS, WorldAnalyser, analyse_clip
from tests.speech import speech


def frames_of(wave: NDArray[np.float64], hop_ms: int) -> list[Frames]:
    hop, analyser = RATE_HZ * hop_ms // 1000, WorldAnalyser(hop_ms)
    return [analyser.push(wave[i : i + hop]) for i in range(0, len(wave) - hop + 1, hop)]


@pytest.mark.parametrize("hop_ms", [20, 40, 200])
def test_every_frame_is_given_once_and_agrees_with_the_analysis_of_the_whole(hop_ms: int) -> None:
    """The frame of time t leaves 30 ms after t; pitch and envelope are those of an offline analysis."""
    wave = speech(1.6, RATE_HZ).astype(np.float64)
    parts = frames_of(wave, hop_ms)
    assert all(part.power.shape == (hop_ms // 5, BINS) for part in parts)
    f0 = np.concatenate([part.f0_hz for part in parts])[LOOK_AHEAD_MS // 5 - 1 :]
    power = np.concatenate([part.power for part in parts])[LOOK_AHEAD_MS // 5 - 1 :]
    whole = analyse_clip(wave)
    both = (f0 > 0) & (whole.f0_hz[: len(f0)] > 0)
    assert both.mean() > 0.5
    assert np.mean(np.abs(np.log2(f0[both] / whole.f0_hz[: len(f0)][both])) < 0.01) > 0.97
    distance_db = np.abs(10 * np.log10(power / whole.power[: len(power)]))[both]
    assert np.median(distance_db) < 0.1


def test_silence_is_not_analysed_and_has_no_gain() -> None:
    """Zeros in, shut gate out."""
    for part in frames_of(np.zeros(RATE_HZ // 5), 40):
        assert not part.gain.any()
        assert not part.f0_hz.any()


def test_the_gate_is_open_for_speech_and_shut_for_hiss_of_minus_80_db() -> None:
    """Between -62 and -74 dB it closes softly."""
    speaking = np.concatenate([part.gain for part in frames_of(speech(1.0, RATE_HZ).astype(np.float64), 40)])
    hiss = 1e-4 * np.random.default_rng(1).standard_normal(RATE_HZ // 2)
    assert speaking[30:].max() == 1.0
    assert not np.concatenate([part.gain for part in frames_of(hiss, 40)]).any()

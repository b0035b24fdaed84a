"""The returned voice is not the sender's and still understood: the default preset before a speaker judge and STOI.

The judge is Resemblyzer's encoder (`speaker_judge`). On recordings of people the bounds are: similarity to the sender
at most 0.80 for every recording, STOI at least 0.80 pooled over all. Without recordings synthetic speech
takes their place; without a judge the disguise must still show in pitch and in the mean envelope.
"""

import warnings

import numpy as np
import pytest

from models.engines import Samples, VoiceProfile, VoiceSettings
from models.resample import Resampler
from models.voice_match import RunningStatistics, measure, statistics_of
from models.world_analysis import analyse_clip
from tests import speaker_judge, speech
from tests.voice_measures import cents, convert, inner, pitch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pystoi import stoi

RATE_HZ = 48_000


def at_16k(wave: Samples) -> Samples:
    """The wave at the judge's rate."""
    return Resampler(RATE_HZ, 16_000).convert(wave[: len(wave) // 3 * 3].astype(np.float64)).astype(np.float32)


def judge_or_none() -> bool:
    try:
        speaker_judge.embed(np.zeros(16_000))
    except speaker_judge.JudgeMissing:
        return False
    return True


@pytest.fixture(scope="module")
def pairs() -> dict[str, tuple[Samples, Samples]]:
    """What went in and what the default voice made of it, at most 8 s of each recording."""
    names = speech.RECORDINGS if speech.have_recordings() else {}
    waves = {name: speech.recording(name, RATE_HZ, 8.0) for name in names} or speech.voices(RATE_HZ, 6.0)
    return {name: (wave, convert(wave, VoiceSettings())) for name, wave in waves.items()}


def test_the_default_voice_is_another_persons(pairs: dict[str, tuple[Samples, Samples]]) -> None:
    """Judged at most 0.80 like the sender for every recording (synthetic speech, which is no person's: 0.85)."""
    if not judge_or_none():
        pytest.skip("no speaker judge on this machine; the next test measures pitch and envelope instead")
    likeness = {name: speaker_judge.similarity(at_16k(a), at_16k(b)) for name, (a, b) in pairs.items()}
    assert max(likeness.values()) <= (0.80 if speech.have_recordings() else 0.85), likeness
    assert np.mean(list(likeness.values())) <= (0.75 if speech.have_recordings() else 0.80), likeness


def test_pitch_and_envelope_leave_the_speaker(pairs: dict[str, tuple[Samples, Samples]]) -> None:
    """Pitch two semitones off in the median, and the mean spectral envelope at least 3 dB (RMS) off."""
    for name, (before, after) in pairs.items():
        assert np.median(np.abs(cents(pitch(before), pitch(after)))) > 150, name
        one, other = (learnt_envelope(wave) for wave in (before, after))
        assert np.sqrt(np.mean(np.square(one - other))) * 10 / np.log(10) > 3.0, name


def learnt_envelope(wave: Samples) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    statistics = RunningStatistics()
    statistics.update(analyse_clip(inner(wave)))
    summary = statistics.summary()
    assert summary is not None
    return summary.envelope


def test_the_default_voice_is_understood(pairs: dict[str, tuple[Samples, Samples]]) -> None:
    """STOI against the input: at least 0.80 pooled over all recordings (0.70 for synthetic speech)."""
    heard = np.mean([stoi(at_16k(a), at_16k(b), 16_000) for a, b in pairs.values()])
    assert heard >= (0.80 if speech.have_recordings() else 0.70)


def test_towards_a_reference_the_voice_leaves_the_speaker_too(pairs: dict[str, tuple[Samples, Samples]]) -> None:
    """ "Like this clip" moves a man's pitch most of the way to a woman's and away from his own."""
    before = pairs["man_a"][0]
    reference = reference_of(pairs["woman"][0])
    after = convert(before, VoiceSettings(preset="custom", reference=reference))
    wanted = np.exp(statistics_of(reference).log_f0_mean)
    track, own = pitch(after), pitch(before)
    assert abs(12 * np.log2(np.median(track[track > 0]) / wanted)) < 2.0
    assert 12 * np.log2(np.median(track[track > 0]) / np.median(own[own > 0])) > 2.0


def reference_of(wave: Samples) -> VoiceProfile:
    """A profile out of a clip of at least 3 s: repeated where the recording is shorter."""
    return measure(np.tile(wave, 2)[: 6 * RATE_HZ], RATE_HZ, analyse_clip)

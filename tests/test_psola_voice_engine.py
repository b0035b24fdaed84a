"""The voice engine without pyworld as its callers see it: counts, delay, pitch, seams, silence, likeness, abuse."""

import warnings
from functools import partial

import numpy as np
import pytest

from models.engines import Samples, VoiceSettings
from models.psola_voice_engine import PsolaVoiceEngine
from models.resample import Resampler
from models.voice_match import statistics_of
from models.voice_presets import PRESETS
from tests import speaker_judge, speech, voice_measures
from tests.voice_measures import cents, log_mel, pitch, seam_ratio

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pystoi import stoi

RATE_HZ = 48_000
ENGINE = PsolaVoiceEngine()

open_stream = partial(voice_measures.open_stream, engine=ENGINE)
convert = partial(voice_measures.convert, engine=ENGINE)


@pytest.fixture(scope="module")
def voices() -> dict[str, Samples]:
    return speech.voices(RATE_HZ, 3.0)


@pytest.fixture(scope="module")
def disguised() -> dict[str, tuple[Samples, Samples]]:
    """What went in and what the default voice made of it, at most 8 s of each recording."""
    names = speech.RECORDINGS if speech.have_recordings() else {}
    waves = {name: speech.recording(name, RATE_HZ, 8.0) for name in names} or speech.voices(RATE_HZ, 6.0)
    return {name: (wave, convert(wave, VoiceSettings())) for name, wave in waves.items()}


def at_16k(wave: Samples) -> Samples:
    return Resampler(RATE_HZ, 16_000).convert(wave[: len(wave) // 3 * 3].astype(np.float64)).astype(np.float32)


def tone(seconds: float) -> Samples:
    """Thirty harmonics of 120 Hz."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return np.asarray(sum(np.sin(2 * np.pi * 120 * k * t + k * k) / k for k in range(1, 30)) * 0.1, dtype=np.float32)


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
@pytest.mark.parametrize("hop_ms", [20, 40, 60, 200])
def test_every_hop_gives_exactly_as_many_samples(rate_hz: int, hop_ms: int) -> None:
    """float32 within full scale."""
    stream, hop = open_stream(VoiceSettings(), rate_hz=rate_hz, hop_ms=hop_ms), rate_hz * hop_ms // 1000
    wave = speech.speech(0.6, rate_hz)
    for i in range(0, len(wave) - hop + 1, hop):
        out = stream.convert(wave[i : i + hop])
        assert out.shape == (hop,)
        assert out.dtype == np.float32
        assert np.abs(out).max() <= 1.0


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
@pytest.mark.parametrize("preset", ["whisper", "higher"])
def test_the_declared_delay_is_the_real_one(rate_hz: int, preset: str) -> None:
    """The loudness of what comes out follows what went in within 5 ms of `delay_ms`, which is under 46 ms."""
    assert open_stream(VoiceSettings(), rate_hz=rate_hz).delay_ms < 46
    wave = speech.speech(3.0, rate_hz)
    out = convert(wave, VoiceSettings(preset=preset), rate_hz=rate_hz)
    step = rate_hz // 1000
    before, after = (np.sqrt(np.square(w.astype(np.float64)).reshape(-1, step).sum(axis=1)) for w in (wave, out))
    smooth = np.hanning(25) / 12
    before, after = np.convolve(before, smooth, "same"), np.convolve(after, smooth, "same")
    lags = range(-15, 16)
    best = max(lags, key=lambda lag: float(np.corrcoef(before[20:-20], after[20 + lag : len(after) - 20 + lag])[0, 1]))
    assert abs(best) <= 5


@pytest.mark.parametrize(("preset", "semitones"), [("lower", -4.0), ("higher", 4.0)])
def test_pitch_presets_land_within_50_cents(preset: str, semitones: float, voices: dict[str, Samples]) -> None:
    """The median interval between the pitch of the output and of the input is the one declared."""
    for name, wave in voices.items():
        interval = cents(pitch(wave), pitch(convert(wave, VoiceSettings(preset=preset))))
        assert len(interval) > 100
        assert abs(np.median(interval) - 100 * semitones) < 50, name


def test_the_disguise_raises_a_deep_voice_and_lowers_a_high_one(voices: dict[str, Samples]) -> None:
    """Two semitones each, within 50 cents."""
    for name, direction in (("man_a", 1), ("woman", -1)):
        interval = cents(pitch(voices[name]), pitch(convert(voices[name], VoiceSettings())))
        assert abs(np.median(interval) - 200 * direction) < 50, name


def test_the_robot_has_one_pitch_and_the_whisper_none(voices: dict[str, Samples]) -> None:
    """110 Hz in 85 % of the robot's voiced frames; of the speaker's melody at most 2 % is left in the whisper."""
    wave = voices["man_a"]
    own = pitch(wave)
    robot = pitch(convert(wave, VoiceSettings(preset="robot")))
    assert np.mean(np.abs(12 * np.log2(robot[robot > 0] / 110.0)) < 0.5) > 0.85
    whisper = pitch(convert(wave, VoiceSettings(preset="whisper")))
    followed = np.abs(cents(own, whisper)) < 50
    assert np.count_nonzero(followed) < 0.02 * np.count_nonzero(own)


@pytest.mark.parametrize("hop_ms", [20, 40])
def test_hops_join_without_a_seam(hop_ms: int, voices: dict[str, Samples]) -> None:
    """The wave is no rougher where hops join than elsewhere; a wave with clicks put in is found out."""
    for wave in voices.values():
        out = convert(wave, VoiceSettings(), hop_ms=hop_ms)
        period = RATE_HZ * hop_ms // 1000
        late = round(open_stream(VoiceSettings(), hop_ms=hop_ms).delay_ms * RATE_HZ / 1000)
        assert 0.8 < seam_ratio(out, period, -late % period) < 1.25
        clicked = out.copy()
        clicked[-late % period :: period] += np.float32(0.03)
        assert seam_ratio(clicked, period, -late % period) > 1.5


@pytest.mark.parametrize("hop_ms", [20, 60, 120])
def test_the_hop_hardly_changes_the_sound(hop_ms: int, voices: dict[str, Samples]) -> None:
    """Against a hop of 40 ms: log mel correlation at least 0.97, pitch within 10 cents."""
    wave = voices["man_a"]
    settings = VoiceSettings(preset="lower")
    reference, other = convert(wave, settings), convert(wave, settings, hop_ms=hop_ms)
    assert np.corrcoef(log_mel(reference).ravel(), log_mel(other).ravel())[0, 1] >= 0.97
    assert np.median(np.abs(cents(pitch(reference), pitch(other)))) < 10


def test_silence_stays_silence_and_hiss_below_the_gate_too() -> None:
    """Digital silence and -80 dB of hiss give zeros; speech before leaves no trace after 200 ms."""
    stream, zeros = open_stream(VoiceSettings()), np.zeros(1920, dtype=np.float32)
    assert not any(stream.convert(zeros).any() for _ in range(10))
    hiss = (1e-4 * np.random.default_rng(1).standard_normal((10, 1920))).astype(np.float32)
    assert not any(stream.convert(hop).any() for hop in hiss)
    for hop in speech.speech(0.4, RATE_HZ).reshape(-1, 1920):
        stream.convert(hop)
    after = [np.abs(stream.convert(zeros)).max() for _ in range(12)]
    assert max(after[5:]) < 1e-6


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_numbers_that_are_none_do_no_lasting_harm(bad: float) -> None:
    """NaN, infinity and huge values come out as finite sound within full scale, and the stream recovers."""
    stream, wave = open_stream(VoiceSettings()), speech.speech(1.6, RATE_HZ).reshape(-1, 1920).copy()
    wave[5, 100:400] = bad
    wave[9] = bad
    out = [stream.convert(hop) for hop in wave]
    assert all(np.isfinite(part).all() and np.abs(part).max() <= 1.0 for part in out)
    assert np.concatenate(out[20:]).std() == pytest.approx(wave[20:].std(), rel=0.5)


def test_clicks_square_waves_and_dc_stay_in_bounds() -> None:
    """Full-scale abuse at the widest settings is limited, and steady DC does not pass."""
    square = np.sign(np.sin(2 * np.pi * 66 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32)
    high = np.sign(np.sin(2 * np.pi * 540 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32)
    clicks = np.zeros(RATE_HZ, dtype=np.float32)
    clicks[::5000] = 1.0
    for formant_ratio, semitones in ((0.7, -12.0), (1.4, 12.0)):
        settings = VoiceSettings(pitch_semitones=semitones, formant_ratio=formant_ratio)
        for wave in (square, high, clicks):
            out = convert(wave, settings)
            assert np.isfinite(out).all()
            assert np.abs(out).max() <= 1.0
        steady = convert(np.ones(RATE_HZ, dtype=np.float32), settings)[RATE_HZ // 2 : -RATE_HZ // 5]
        assert np.abs(steady).max() < 1e-3


def test_loudness_is_kept(voices: dict[str, Samples]) -> None:
    """Within 3 dB of the input for every preset that speaks aloud."""
    for wave in voices.values():
        for preset in ("disguise", "lower", "higher", "robot"):
            ratio_db = 20 * np.log10(convert(wave, VoiceSettings(preset=preset)).std() / wave.std())
            assert abs(ratio_db) < 3.0, preset


def test_breath_adds_noise_between_the_harmonics() -> None:
    """A held tone of 120 Hz, raised to 151 Hz: with breath more than 10 dB more lies between its harmonics."""
    between_db = []
    for breath in (0.0, 0.8):
        out = convert(tone(2.0), VoiceSettings(preset="higher", breath=breath)).astype(np.float64)[RATE_HZ // 2 :]
        power = np.abs(np.fft.rfft(out * np.hanning(len(out)))) ** 2
        harmonic = np.fft.rfftfreq(len(out), 1 / RATE_HZ) / (120 * 2 ** (4 / 12))
        off = np.abs(harmonic - np.round(harmonic)) > 0.3
        between_db.append(10 * np.log10(power[off].sum() / power.sum()))
    assert between_db[1] > between_db[0] + 10, between_db


def test_a_change_of_voice_makes_no_click() -> None:
    """A held tone of 120 Hz, another voice every fifth hop: no seam is rougher than the tone itself."""
    presets = ("lower", "higher", "robot", "disguise")
    late = round(open_stream(VoiceSettings()).delay_ms * RATE_HZ / 1000)
    out = convert(
        tone(6.0),
        VoiceSettings(),
        each=lambda i, s: None if i % 5 else s.set_voice(VoiceSettings(preset=presets[i // 5 % 4])),
    )
    assert seam_ratio(out, 1920 * 5, -late % (1920 * 5)) < 1.25


def test_plain_resynthesis_is_refused_and_the_old_voice_stays() -> None:
    """Neither opened nor put on later."""
    with pytest.raises(ValueError, match="too close"):
        open_stream(VoiceSettings(preset="custom"))
    stream, hop = open_stream(VoiceSettings(preset="lower")), speech.speech(0.04, RATE_HZ)
    with pytest.raises(ValueError, match="too close"):
        stream.set_voice(VoiceSettings(preset="custom"))
    twin = open_stream(VoiceSettings(preset="lower"))
    np.testing.assert_array_equal(stream.convert(hop), twin.convert(hop))


def test_a_stream_is_deterministic_and_hears_no_other(voices: dict[str, Samples]) -> None:
    """Every preset gives the same samples again, with another stream running beside it."""
    hops = voices["woman"][:19_200].reshape(-1, 1920)
    for preset in PRESETS:
        settings = VoiceSettings(preset=preset.name, pitch_semitones=2.5 if preset.name == "custom" else 0.0)
        alone, again, other = open_stream(settings), open_stream(settings), open_stream(VoiceSettings(preset="robot"))
        expected = [alone.convert(hop) for hop in hops]
        for hop, sound in zip(hops, expected, strict=True):
            np.testing.assert_array_equal(again.convert(hop), sound)
            other.convert(hop[::-1].copy())


def test_like_this_clip_works_without_pyworld(voices: dict[str, Samples]) -> None:
    """A man's pitch moves most of the way to the clip's and away from his own."""
    clip = np.tile(voices["woman"], 2)[: 6 * RATE_HZ]
    reference = ENGINE.measure(clip, RATE_HZ)
    after, own = (
        track[track > 0]
        for track in map(
            pitch,
            (
                convert(voices["man_a"], VoiceSettings(preset="custom", reference=reference)),
                voices["man_a"],
            ),
        )
    )
    wanted = np.exp(statistics_of(reference).log_f0_mean)
    assert abs(12 * np.log2(np.median(after) / wanted)) < 2.5
    assert 12 * np.log2(np.median(after) / np.median(own)) > 2.0


def test_the_default_voice_is_another_persons(disguised: dict[str, tuple[Samples, Samples]]) -> None:
    """Judged at most 0.80 like the sender for every recording (synthetic speech, which is no person's: 0.85)."""
    try:
        likeness = {name: speaker_judge.similarity(at_16k(a), at_16k(b)) for name, (a, b) in disguised.items()}
    except speaker_judge.JudgeMissing:
        pytest.skip("no speaker judge on this machine; pitch is measured all the same")
    assert max(likeness.values()) <= (0.80 if speech.have_recordings() else 0.85), likeness


def test_the_default_voice_is_understood(disguised: dict[str, tuple[Samples, Samples]]) -> None:
    """STOI against the input: at least 0.78 pooled over all recordings (0.70 for synthetic speech)."""
    heard = np.mean([stoi(at_16k(a), at_16k(b), 16_000) for a, b in disguised.values()])
    assert heard >= (0.78 if speech.have_recordings() else 0.70)

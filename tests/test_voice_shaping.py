"""Frames of one voice into frames of another."""

import numpy as np
import pytest

from models.engines import VoiceSettings
from models.voice_frames import BINS, Frames
from models.voice_match import RunningStatistics, measure, statistics_of
from models.voice_shaping import VoiceShaper
from models.world_analysis import analyse_clip
from tests.speech import Speaker, speech


def frames(count: int, *, f0_hz: float, peak_bin: int = 60) -> Frames:
    bump = np.exp(-(((np.arange(BINS) - peak_bin) / 8.0) ** 2))
    return Frames(
        f0_hz=np.full(count, f0_hz),
        power=np.tile(1e-4 * bump + 1e-9, (count, 1)),
        aperiodicity=np.full((count, BINS), 0.2),
        gain=np.ones(count),
    )


def semitones(after: Frames, before_hz: float) -> float:
    return float(12 * np.log2(after.f0_hz[-1] / before_hz))


@pytest.mark.parametrize(("f0_hz", "direction"), [(95.0, 1), (130.0, 1), (205.0, -1), (300.0, -1)])
def test_the_disguise_raises_deep_voices_and_lowers_high_ones_from_the_first_voiced_hop(
    f0_hz: float, direction: int
) -> None:
    """The very first voiced frames already decide: no moment of the speaker's own pitch."""
    shaper = VoiceShaper(VoiceSettings())
    first = shaper.apply(frames(8, f0_hz=f0_hz))
    assert np.all(direction * 12 * np.log2(first.f0_hz / f0_hz) >= 2.0)


def test_a_wandering_pitch_does_not_flip_the_disguise() -> None:
    """Around the border of 165 Hz there is hysteresis."""
    shaper = VoiceShaper(VoiceSettings())
    signs = []
    for i in range(60):
        f0_hz = 160.0 + 12.0 * np.sin(i)
        signs.append(np.sign(semitones(shaper.apply(frames(8, f0_hz=f0_hz)), f0_hz)))
    assert len(set(signs)) == 1


def test_a_new_voice_is_reached_in_small_steps_but_for_one_past_the_speaker() -> None:
    """No frame-to-frame step over a third of the way elsewhere, and after 150 ms the new pitch is there."""
    shaper = VoiceShaper(VoiceSettings(preset="lower"))
    for _ in range(3):
        shaper.apply(frames(8, f0_hz=120.0))
    shaper.set_voice(VoiceSettings(preset="higher"))
    glide = np.concatenate([shaper.apply(frames(8, f0_hz=120.0)).f0_hz for _ in range(4)])
    track = 12 * np.log2(np.concatenate([[120.0 * 2 ** (-4 / 12)], glide]) / 120.0)
    steps = np.diff(track)
    past = int(np.argmax(steps))
    assert track[past] <= -2.0 < 1.7 < track[past + 1] < 2.0  # where the formants are 5 % off, too
    assert np.max(np.delete(steps, past)) < 8.0 / 3
    assert track[-1] == pytest.approx(4.0, abs=0.05)


def test_formants_move_by_the_ratio() -> None:
    """A resonance at bin 60 comes to 60 times the ratio."""
    shaper = VoiceShaper(VoiceSettings(preset="custom", formant_ratio=1.25))
    after = shaper.apply(frames(8, f0_hz=120.0))
    assert int(np.argmax(after.power[-1])) == 75


def test_whisper_has_no_voice_and_robot_no_melody() -> None:
    """Whisper: every frame unvoiced and all noise. Robot: one pitch, whatever comes in."""
    whisper = VoiceShaper(VoiceSettings(preset="whisper")).apply(frames(8, f0_hz=120.0))
    assert not whisper.f0_hz.any()
    assert np.allclose(whisper.aperiodicity, 1.0)
    robot = VoiceShaper(VoiceSettings(preset="robot"))
    pitches = [robot.apply(frames(8, f0_hz=f0_hz)).f0_hz for f0_hz in (90.0, 140.0, 220.0)]
    assert np.ptp(np.concatenate(pitches)) < 1e-9


def test_breath_adds_noise_and_nothing_else() -> None:
    """More aperiodicity, same pitch."""
    plain = VoiceShaper(VoiceSettings(preset="higher")).apply(frames(8, f0_hz=120.0))
    breathy = VoiceShaper(VoiceSettings(preset="higher", breath=0.6)).apply(frames(8, f0_hz=120.0))
    assert np.all(breathy.aperiodicity > plain.aperiodicity)
    np.testing.assert_allclose(breathy.f0_hz, plain.f0_hz)


def test_loudness_stays() -> None:
    """Some seconds on, whatever the spectrum became, the frames are as powerful as those that came in."""
    shaper = VoiceShaper(VoiceSettings(preset="lower"))
    for _ in range(150):
        after = shaper.apply(frames(8, f0_hz=120.0))
    assert after.power[-1].sum() == pytest.approx(frames(1, f0_hz=120.0).power.sum(), rel=0.05)


def test_towards_oneself_the_least_disguise_is_kept() -> None:
    """A reference of the speaker's own voice does not bring the speaker's own voice out."""
    wave = speech(4.0, 24_000, Speaker(f0_hz=120.0))
    own = measure(wave, 24_000, analyse_clip)
    shaper = VoiceShaper(VoiceSettings(preset="custom", reference=own))
    for _ in range(60):
        after = shaper.apply(frames(8, f0_hz=120.0))
    moved = abs(semitones(after, 120.0)) >= 2.0
    assert moved or int(np.argmax(after.power[-1])) not in range(57, 64)


def test_towards_oneself_one_s_own_colour_is_not_put_back() -> None:
    """Warped and then given the reference's envelope, one's own, a voice was judged 0.82 to 0.91 like its speaker."""
    wave = speech(3.0, 24_000, Speaker(f0_hz=120.0))
    own, heard = measure(wave, 24_000, analyse_clip), analyse_clip(wave.astype(float))
    before = statistics_of(own)
    for pitch_semitones in (0.0, 3.0):
        shaper = VoiceShaper(VoiceSettings(preset="custom", reference=own, pitch_semitones=pitch_semitones))
        spoken = RunningStatistics()
        for first in range(0, 600, 40):
            shaped = shaper.apply(part(heard, first, 40))
            if first >= 200:  # by then the speaker is known
                spoken.update(shaped)
        after = spoken.summary()
        assert after is not None
        assert np.sqrt(np.mean(np.square(after.envelope - before.envelope))) * 10 / np.log(10) > 6.0


@pytest.mark.parametrize("f0_hz", [120.0, 240.0])
def test_one_s_own_controls_cannot_take_that_disguise_back(f0_hz: float) -> None:
    """Nor bring a voice near one's own to it: what comes out is judged, not the reference alone."""
    wave = speech(3.0, 24_000, Speaker(f0_hz=f0_hz))
    heard, up = analyse_clip(wave.astype(float)), 1.0 if f0_hz < 165.0 else -1.0
    own = measure(wave, 24_000, analyse_clip)
    near = measure(speech(3.0, 24_000, Speaker(f0_hz=f0_hz * 2 ** (3 / 12))), 24_000, analyse_clip)
    for reference, pitch_semitones, formant_ratio in ((own, -4.0 * up, 1.1**-up), (near, -3.0, 1.0)):
        shaper = VoiceShaper(
            VoiceSettings(
                preset="custom", reference=reference, pitch_semitones=pitch_semitones, formant_ratio=formant_ratio
            )
        )
        shaped = shaper.shape(heard)
        last = heard.f0_hz > 0
        last[: len(last) // 2] = False
        moved = np.median(np.log2(shaped.frames.f0_hz[last] / heard.f0_hz[last])) * 12
        assert abs(moved) >= 2.0 or abs(np.log2(shaped.formant_ratio[-1])) >= np.log2(1.05)


@pytest.mark.parametrize("settings", [VoiceSettings(), VoiceSettings(preset="custom", pitch_semitones=12.0)])
def test_who_only_whispers_is_disguised_too(settings: VoiceSettings) -> None:
    """No pitch to move: their formants are, and after 1.5 s the colour of their own throat is taken out."""
    shaper = VoiceShaper(settings)
    whispered = [shaper.shape(frames(40, f0_hz=0.0)) for _ in range(12)]
    assert all(np.all(np.abs(np.log(one.formant_ratio)) >= np.log(1.069)) for one in whispered)
    early, late = (np.ptp(one.colour[-1]) for one in (whispered[0], whispered[-1]))
    assert early < 0.01
    assert late > 3.0


def test_a_word_before_the_voice_is_heard_does_not_decide_its_colour() -> None:
    """Once there is voice the colour is that of the voice, whatever hissed before it."""
    heard = [VoiceShaper(VoiceSettings()) for _ in range(2)]
    heard[0].shape(frames(400, f0_hz=0.0, peak_bin=300))
    for shaper in heard:
        shaper.shape(frames(400, f0_hz=120.0))
    first, second = (shaper.shape(frames(8, f0_hz=120.0)).colour for shaper in heard)
    np.testing.assert_allclose(np.diff(first), np.diff(second), atol=1e-6)


def test_a_reference_moves_the_pitch_to_its_own() -> None:
    """A man at 115 Hz towards a woman at 210 Hz lands near 210 Hz."""
    reference = measure(speech(4.0, 16_000, Speaker(f0_hz=210.0, tract=1.15)), 16_000, analyse_clip)
    shaper = VoiceShaper(VoiceSettings(preset="custom", reference=reference))
    for _ in range(40):
        after = shaper.apply(frames(8, f0_hz=115.0))
    assert abs(semitones(after, 210.0)) < 1.0


@pytest.mark.parametrize("hop", [8, 12, 40])
def test_the_hop_decides_nothing(hop: int) -> None:
    """A deep voice, then a high one, in hops of 40, 60 and 200 ms against 20: the same frames, turn and all."""
    heard = analyse_clip(np.concatenate([speech(1.2, 24_000), speech(1.2, 24_000, Speaker(f0_hz=240.0))]).astype(float))

    def shaped(count: int) -> Frames:
        shaper = VoiceShaper(VoiceSettings())
        return joined([shaper.apply(part(heard, i, count)) for i in range(0, 480, count)])

    steps, hops = shaped(4), shaped(hop)
    np.testing.assert_allclose(hops.f0_hz, steps.f0_hz, rtol=1e-9)
    np.testing.assert_allclose(hops.power, steps.power, rtol=1e-6)


def part(whole: Frames, first: int, count: int) -> Frames:
    """`count` frames of it."""
    rows = slice(first, first + count)
    return Frames(
        f0_hz=whole.f0_hz[rows], power=whole.power[rows], aperiodicity=whole.aperiodicity[rows], gain=whole.gain[rows]
    )


def joined(parts: list[Frames]) -> Frames:
    """One after the other."""
    return Frames(
        f0_hz=np.concatenate([one.f0_hz for one in parts]),
        power=np.concatenate([one.power for one in parts]),
        aperiodicity=np.concatenate([one.aperiodicity for one in parts]),
        gain=np.concatenate([one.gain for one in parts]),
    )

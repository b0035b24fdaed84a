"""The voices on offer, and which settings are refused."""

import math

import pytest

from models.engines import VoiceProfile, VoiceSettings
from models.voice_presets import PRESETS, check, effective, preset


def test_the_first_preset_disguises_and_all_have_words_for_the_page() -> None:
    """Names are what the wire says, the default is first."""
    assert [p.name for p in PRESETS] == ["disguise", "lower", "higher", "whisper", "robot", "custom"]
    assert VoiceSettings().preset == PRESETS[0].name
    assert all(p.title and p.description.endswith(".") for p in PRESETS)


@pytest.mark.parametrize("name", [p.name for p in PRESETS if p.name != "custom"])
def test_every_preset_may_be_worn_as_it_is(name: str) -> None:
    """None of them is plain resynthesis."""
    check(VoiceSettings(preset=name))


@pytest.mark.parametrize(
    "settings",
    [
        VoiceSettings(preset="custom"),
        VoiceSettings(preset="custom", pitch_semitones=1.9, formant_ratio=1.04),
        VoiceSettings(preset="custom", pitch_semitones=-1.9, formant_ratio=0.96),
        VoiceSettings(preset="lower", pitch_semitones=4.0, formant_ratio=1.12),
        VoiceSettings(preset="disguise", pitch_semitones=-2.0, formant_ratio=0.93),
        VoiceSettings(preset="disguise", pitch_semitones=2.0, formant_ratio=0.93),
        VoiceSettings(preset="whisper", formant_ratio=1 / 1.1, pitch_semitones=5.0),
        VoiceSettings(preset="robot", formant_ratio=1 / 0.92, pitch_semitones=5.0),
    ],
)
def test_a_voice_too_close_to_the_speaker_is_refused(settings: VoiceSettings) -> None:
    """Also when the user's own settings take back what the preset does, in either of its directions."""
    with pytest.raises(ValueError, match="too close to your own"):
        check(settings)


@pytest.mark.parametrize("change", [{"pitch_semitones": 2.0}, {"pitch_semitones": -3.0}, {"formant_ratio": 1.06}])
def test_two_semitones_or_five_percent_are_enough(change: dict[str, float]) -> None:
    """The bound itself is allowed."""
    check(VoiceSettings(preset="custom", **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"preset": "celebrity"},
        {"pitch_semitones": 13.0},
        {"pitch_semitones": math.nan},
        {"formant_ratio": 0.0},
        {"formant_ratio": math.inf},
        {"breath": 1.5},
        {"breath": math.nan},
        {"input_gain_db": 21.0},
        {"gate_db": 0.0},
    ],
)
def test_settings_out_of_range_are_refused_with_a_sentence(change: dict[str, object]) -> None:
    """Numbers that are no numbers too."""
    with pytest.raises(ValueError, match=r"\.$"):
        check(VoiceSettings(**change))  # type: ignore[arg-type]


def test_the_users_settings_come_on_top_of_the_presets() -> None:
    """Pitch adds, formants multiply; the adaptive preset turns round for a high voice."""
    disguise = preset("disguise")
    up = effective(disguise, VoiceSettings(pitch_semitones=1.0, formant_ratio=1.1), up=True)
    down = effective(disguise, VoiceSettings(), up=False)
    assert up == (disguise.semitones + 1.0, disguise.formant_ratio * 1.1)
    assert down == (-disguise.semitones, disguise.formant_ratio)


def test_towards_a_reference_the_engine_keeps_the_distance_itself() -> None:
    """A plain preset with a reference is not refused here."""
    check(VoiceSettings(preset="custom", reference=VoiceProfile(values={})))

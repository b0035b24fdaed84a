"""The voices on offer and what each does to a speaker; read by the voice engine, the wire and the page.

A voice that stays within two semitones and 5 % of the speaker's own is plain resynthesis: the speaker remains
recognisable, so it counts as passthrough and `check` refuses it.
"""

from dataclasses import dataclass
from math import isfinite, log2

from models import voice_front
from models.engines import VoiceSettings

LEAST_SEMITONES = 2.0
LEAST_FORMANT_CHANGE = 0.05
PITCH_RANGE_SEMITONES = 12.0
FORMANT_RANGE = (0.7, 1.4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One voice. An `adaptive` preset raises deep speakers and lowers high ones; the others treat all alike."""

    name: str
    title: str
    description: str
    semitones: float = 0.0
    formant_ratio: float = 1.0
    breath: float = 0.0
    whisper: float = 0.0
    monotone_hz: float | None = None
    adaptive: bool = False
    colour: float = 0.0
    """How much of the speaker's own long-term spectrum is taken out; see `voice_match.colour_shift`."""

    def towards(self, *, up: bool) -> tuple[float, float]:
        """Semitones and formant ratio of the preset for a speaker to be raised, or lowered.

        Formants move one way for all: a lowered voice with a longer throat stayed recognisable to the speaker judge.
        """
        return self.semitones if up or not self.adaptive else -self.semitones, self.formant_ratio


PRESETS: tuple[Preset, ...] = (
    Preset(
        name="disguise",
        title="Disguise",
        description="Hides who you are and stays easy to follow: deep voices rise, high voices fall.",
        semitones=2.0,
        formant_ratio=1.07,
        adaptive=True,
        colour=2.0,
    ),
    Preset(
        name="lower",
        title="Lower",
        description="Four semitones down, with a larger throat.",
        semitones=-4.0,
        formant_ratio=0.89,
        colour=2.0,
    ),
    Preset(
        name="higher",
        title="Higher",
        description="Four semitones up, with a smaller throat.",
        semitones=4.0,
        formant_ratio=1.12,
        colour=2.0,
    ),
    Preset(
        name="whisper",
        title="Whisper",
        description="No tone at all, only breath.",
        formant_ratio=1.1,
        whisper=1.0,
    ),
    Preset(
        name="robot",
        title="Robot",
        description="One steady pitch, whatever you say.",
        formant_ratio=0.92,
        monotone_hz=110.0,
        colour=2.0,
    ),
    Preset(
        name="custom",
        title="Custom",
        description="Your own pitch and throat size, at least two semitones or 5 % away from yourself.",
        colour=2.0,
    ),
)

_BY_NAME = {preset.name: preset for preset in PRESETS}


def preset(name: str) -> Preset:
    """The preset of this name; ValueError when there is none."""
    if name not in _BY_NAME:
        raise ValueError(f"There is no voice of that name; choose one of {', '.join(_BY_NAME)}.")
    return _BY_NAME[name]


def check(settings: VoiceSettings) -> None:
    """Refuse settings that cannot or must not be worn: ValueError with a sentence for the user.

    Refused are unknown presets, values out of range, and voices too close to the speaker's own (the caller maps those
    to `voice_too_close`): less than 2 semitones of pitch together with less than 5 % of formant change; for a preset
    without the speaker's melody, which has no pitch of theirs to move, less than 5 % of formant change. Towards a
    reference the engine itself keeps that distance.
    """
    chosen = preset(settings.preset)
    _check_ranges(settings)
    voice_front.check(settings)
    if settings.reference is not None:
        return
    has_melody = not chosen.whisper and chosen.monotone_hz is None
    ways = [effective(chosen, settings, up=up) for up in (True, False)]
    if any(too_close(semitones if has_melody else 0.0, ratio) for semitones, ratio in ways):
        way_out = "the pitch by at least 2 semitones or the formants" if has_melody else "the formants"
        raise ValueError(f"That voice is too close to your own to hide it: move {way_out} by at least 5 %.")


def effective(chosen: Preset, settings: VoiceSettings, *, up: bool) -> tuple[float, float]:
    """Semitones and formant ratio that result from the preset and the user's own settings on top."""
    semitones, formant_ratio = chosen.towards(up=up)
    return semitones + settings.pitch_semitones, formant_ratio * settings.formant_ratio


def too_close(semitones: float, formant_ratio: float) -> bool:
    """Whether a speaker changed by this much is still themself."""
    return abs(semitones) < LEAST_SEMITONES and abs(log2(formant_ratio)) < log2(1 + LEAST_FORMANT_CHANGE)


def _check_ranges(settings: VoiceSettings) -> None:
    if not isfinite(settings.pitch_semitones) or abs(settings.pitch_semitones) > PITCH_RANGE_SEMITONES:
        raise ValueError(f"The pitch must lie within {PITCH_RANGE_SEMITONES:.0f} semitones of the preset's.")
    low, high = FORMANT_RANGE
    if not low <= settings.formant_ratio <= high:
        raise ValueError(f"The formant ratio must lie between {low} and {high}.")
    if not 0.0 <= settings.breath <= 1.0:
        raise ValueError("The breath must lie between 0 and 1.")

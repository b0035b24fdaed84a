"""Whatever voice follows whichever: on the way between them nobody is themself, for not one frame."""

from collections.abc import Iterator

import numpy as np
import pytest

from models import voice_presets
from models.engines import VoiceProfile, VoiceSettings
from models.voice_frames import BINS, Frames
from models.voice_match import BANDS
from models.voice_path import keep_away
from models.voice_presets import PRESETS
from models.voice_shaping import Shaped, VoiceShaper

_SEMITONE = np.log(2.0) / 12
_WIDER = 1 + 1e-9  # the bound itself is allowed, and rounding falls to either side of it
_BUMP = 1e-4 * np.exp(-(((np.arange(BINS) - 60) / 8.0) ** 2)) + 1e-9


def melody(rng: np.random.Generator, count: int, f0_hz: float) -> Frames:
    """Voiced frames whose pitch wanders about `f0_hz` by some semitones."""
    wander = 4.0 * np.sin(np.arange(count) / rng.uniform(3, 12) + rng.uniform(0, 6))
    return Frames(
        f0_hz=np.clip(f0_hz * 2 ** (wander / 12), 71.0, 550.0),
        power=np.tile(_BUMP, (count, 1)),
        aperiodicity=np.full((count, BINS), 0.2),
        gain=np.ones(count),
    )


def too_close(own_hz: np.ndarray, shaped: Shaped, robot_hz: float = 0.0) -> list[int]:
    """Which frames are the speaker: voiced, with their melody at nearly their pitch, and hardly warped."""
    spoken_hz = shaped.frames.f0_hz
    return [
        i
        for i in range(len(own_hz))
        if spoken_hz[i] > 0
        and not np.isclose(spoken_hz[i], robot_hz, rtol=1e-9)
        and voice_presets.too_close(_WIDER * 12 * np.log2(spoken_hz[i] / own_hz[i]), shaped.formant_ratio[i] ** _WIDER)
    ]


def one_pitch_hz(settings: VoiceSettings) -> float:
    """The one pitch of a voice without a melody."""
    hz = voice_presets.preset(settings.preset).monotone_hz
    return 0.0 if hz is None else float(np.clip(hz * 2 ** (settings.pitch_semitones / 12), 55.0, 880.0))


def allowed(rng: np.random.Generator) -> Iterator[VoiceSettings]:
    """Settings that `check` lets pass, near the border of what it refuses more often than not."""
    while True:
        settings = VoiceSettings(
            preset=str(rng.choice([each.name for each in PRESETS])),
            pitch_semitones=float(rng.choice([0.0, 2.0, -2.0, rng.uniform(-5, 5)])),
            formant_ratio=float(rng.choice([1.0, 1.06, 1 / 1.06, 1 / 1.07, rng.uniform(0.85, 1.18)])),
            reference=somebody(rng) if rng.random() < 0.25 else None,
        )
        try:
            voice_presets.check(settings)
        except ValueError:
            continue
        yield settings


def somebody(rng: np.random.Generator) -> VoiceProfile:
    """A reference."""
    mean, sd = float(np.log(rng.uniform(90, 260))), float(rng.uniform(0.08, 0.35))
    envelope = np.convolve(rng.standard_normal(BANDS + 8), np.hanning(9) / 2, "valid")
    return VoiceProfile(values={"log_f0_mean": mean, "log_f0_sd": sd, "envelope": tuple(envelope.tolist())})


@pytest.mark.parametrize("seed", range(8))
def test_between_two_voices_that_are_allowed_nobody_is_themself(seed: int) -> None:
    """Random voices one after the other, some before the last is reached, of speakers of any pitch."""
    rng = np.random.default_rng(seed)
    for f0_hz in (85.0, 112.0, 190.0, 260.0):
        voices = allowed(rng)
        shaper = VoiceShaper(settings := next(voices))
        for count in (80, 40, 4, 8, 40, 16, 40):
            heard = melody(rng, count, f0_hz)
            assert not too_close(heard.f0_hz, shaper.shape(heard), one_pitch_hz(settings)), (f0_hz, settings)
            shaper.set_voice(settings := next(voices))


def test_a_disguise_that_turns_round_passes_the_speaker_by() -> None:
    """Formants left alone, two semitones up become two down when a higher voice speaks on."""
    shaper = VoiceShaper(VoiceSettings(formant_ratio=1 / 1.07))
    rng = np.random.default_rng(0)
    moved = []
    for f0_hz in (110.0, 260.0):
        for _ in range(20):
            heard = melody(rng, 12, f0_hz)
            shaped = shaper.shape(heard)
            assert not too_close(heard.f0_hz, shaped)
            moved.append(shaped.frames.f0_hz[-1] / heard.f0_hz[-1])
    assert moved[0] > 1 > moved[-1]


def row(semitones: float, formant_ratio: float, slope: float = 1.0) -> np.ndarray:
    """One row of a path, of a voice with some breath and a little whisper in it."""
    return np.array([slope, semitones * _SEMITONE, np.log(formant_ratio), 0.3, 0.2])


def test_a_way_that_leads_past_the_speaker_is_left_alone() -> None:
    """Only frames beside the speaker are moved; of no pitch and of one pitch it is the formants that count."""
    way = np.array([row(-4, 0.9), row(-2.2, 1.0), row(0, 1.06), row(0, 1.08), row(0.5, 0.92, slope=0.0)])
    f0_hz = np.array([100.0, 100.0, 100.0, 0.0, 100.0])
    np.testing.assert_array_equal(keep_away(way, row(3, 1.1), f0_hz, 100.0), way)


@pytest.mark.parametrize(
    ("here", "goal", "least"),
    [
        (row(12, 1.0), row(12, 1.0), 1.07),
        (row(-12, 1.0), row(-12, 1.0), 1 / 1.07),
        (row(0, 1.02), row(0, 0.92, slope=0.0), 1 / 1.07),
        (row(-3, 0.99), row(0, 1.1), 1.07),
    ],
)
def test_what_has_no_pitch_to_move_has_its_formants_moved(here: np.ndarray, goal: np.ndarray, least: float) -> None:
    """Unvoiced, in a whisper, or in one pitch for all, a throat of one's own size is one's own voice."""
    whispered, robotic = here.copy(), here.copy()
    whispered[4], robotic[:2] = 0.9, (0.0, np.log(110.0))
    for frame, f0_hz in ((here, 0.0), (whispered, 120.0), (robotic, 120.0)):
        [moved] = keep_away(frame[None], goal, np.array([f0_hz]), 120.0)
        assert np.exp(moved[2]) == pytest.approx(least)


@pytest.mark.parametrize(
    ("here", "goal", "there"),
    [
        ((-1.0, 1.0), (4.0, 1.0), (2.0, 1.0)),
        ((0.0, 1.0), (0.0, 1.2), (0.0, 1.05)),
        ((0.5, 0.98), (-3.0, 0.98), (-2.0, 0.98)),
        ((0.0, 1.0), (4.0, 1.05**0.5), (2.0, 1.05**0.25)),
    ],
)
def test_a_frame_beside_the_speaker_goes_on_to_where_the_way_leaves_them(
    here: tuple[float, float], goal: tuple[float, float], there: tuple[float, float]
) -> None:
    """In a straight line towards the new voice, and no further than the bound, of pitch or of formants."""
    [moved] = keep_away(row(*here)[None], row(*goal), np.array([120.0]), 120.0)
    assert moved[1] / _SEMITONE == pytest.approx(there[0], abs=1e-4)
    assert np.exp(moved[2]) == pytest.approx(there[1], abs=1e-5)
    assert moved[[0, 3, 4]].tolist() == row(*here)[[0, 3, 4]].tolist()


def test_a_narrower_melody_does_not_come_back_to_the_speaker() -> None:
    """Towards a reference of little spread the peaks of a melody would meet their own pitch: they stop short of it."""
    slope, own_hz = 0.6, 120.0
    offset = (1 - slope) * np.log(own_hz) + 2.5 * _SEMITONE
    target = np.array([slope, offset, 0.0, 0.0, 0.0])
    f0_hz = own_hz * 2 ** (np.arange(-6, 9) / 12)
    moved = keep_away(np.tile(target, (15, 1)), target, f0_hz, own_hz)
    shift = (moved[:, 0] - 1) * np.log(f0_hz) / _SEMITONE + moved[:, 1] / _SEMITONE
    assert shift.min() == pytest.approx(2.0)
    assert shift[0] == pytest.approx(2.5 + 0.4 * 6)

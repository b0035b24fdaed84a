"""Speech-like sound made from nothing, for machines without recordings: a formant synthesiser with a script.

Glottal pulses (or noise) go through three moving resonances (Klatt 1980); syllables, pauses and fricatives follow a
fixed script. Deterministic. `recording` gives real people where the project's recordings lie beside the repository.
Called by the voice tests and wherever a microphone is needed.
"""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_MEDIA = Path(__file__).resolve().parents[2] / "shared" / "assets" / "media"
RECORDINGS = {
    "man_a": "librispeech_2086-149214-0000.wav",
    "woman": "librispeech_7850-73752-0000.wav",
    "man_b": "cmu_arctic_rms_15s.wav",
    "broadcast": "jfk_44k_stereo.flac",
    "grid_a": "grid_bbaf2n.mpg",
    "grid_b": "grid_id2_vcd_swwp2s.mpg",
    "grid_c": "grid_lrwp9a.mpg",
    "grid_d": "grid_pwij3p.mpg",
}

_VOWELS = {
    "a": (730.0, 1090.0, 2440.0),
    "i": (270.0, 2290.0, 3010.0),
    "u": (300.0, 870.0, 2240.0),
    "e": (530.0, 1840.0, 2480.0),
    "o": (570.0, 840.0, 2410.0),
}  # Peterson and Barney (1952), men
_SCRIPT = "ma-si e-na to-ra, fu-ri ka-le no-ta. se-mi-da o-la-fe, ti-mo ru-na."
_SYLLABLE_S, _CONSONANT_S, _PAUSE_S = 0.19, 0.07, 0.18
_STEP_S = 0.005
_BANDWIDTHS_HZ = (70.0, 100.0, 140.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who speaks: pitch, and how much shorter than a man's the vocal tract is."""

    f0_hz: float = 120.0
    tract: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sound:
    vowel: str
    seconds: float
    voiced: float
    noise: float


def _sounds() -> list[_Sound]:
    script: list[_Sound] = []
    for letter in _SCRIPT:
        if letter in _VOWELS:
            script.append(_Sound(vowel=letter, seconds=_SYLLABLE_S, voiced=1.0, noise=0.0))
        elif letter in " -,.":
            pause = {"-": 0.0, " ": 0.03}.get(letter, _PAUSE_S)
            script.append(_Sound(vowel="e", seconds=pause, voiced=0.0, noise=0.0))
        else:
            hiss = letter in "sftk"
            script.append(
                _Sound(vowel="i", seconds=_CONSONANT_S, voiced=0.0 if hiss else 0.5, noise=0.4 if hiss else 0.0)
            )
    return script


def _tracks(seconds: float, speaker: Speaker) -> tuple[Array, Array]:
    """(steps, 2) voiced and noise level, and (steps, 3) formants, smoothed as a mouth moves."""
    levels: list[tuple[float, float]] = []
    formants: list[tuple[float, ...]] = []
    script = _sounds()
    for turn in range(10_000):
        if len(levels) * _STEP_S >= seconds:
            break
        sound = script[turn % len(script)]
        steps = round(sound.seconds / _STEP_S)
        levels += [(sound.voiced, sound.noise)] * steps
        formants += [_VOWELS[sound.vowel]] * steps
    steps = int(np.ceil(seconds / _STEP_S)) + 1
    smooth = np.hanning(9)[1:-1] / np.hanning(9).sum()

    def smoothed(rows: list[tuple[float, ...]]) -> Array:
        table = np.array((rows + rows[-1:] * steps)[:steps])
        return np.stack([np.convolve(np.pad(c, 3, mode="edge"), smooth, mode="valid") for c in table.T], axis=1)

    return smoothed([tuple(level) for level in levels]), smoothed(formants) * speaker.tract


def _resonate(source: Array, frequency_hz: Array, bandwidth_hz: float, rate_hz: int) -> Array:
    """A two-pole resonance whose centre moves, unit gain at DC."""
    radius = np.exp(-np.pi * bandwidth_hz / rate_hz)
    turns = (2 * radius * np.cos(2 * np.pi * frequency_hz / rate_hz)).tolist()
    out, y1, y2 = [], 0.0, 0.0
    for x, turn in zip(source.tolist(), turns, strict=True):
        y1, y2 = (1 - turn + radius * radius) * x + turn * y1 - radius * radius * y2, y1
        out.append(y1)
    return np.array(out)


def pitch_hz(seconds: float, rate_hz: int, speaker: Speaker) -> Array:
    """The melody, (n,) Hz at every sample: a slow swing of three semitones and a slight fall."""
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    return np.asarray(speaker.f0_hz * 2 ** ((1.5 * np.sin(2 * np.pi * 0.7 * t) - 0.2 * t % 1.0) / 12))


def speech(seconds: float, rate_hz: int, speaker: Speaker | None = None) -> NDArray[np.float32]:
    """(n,) float32 speech-like sound, peak 0.5, the same every time."""
    speaker = speaker or Speaker()
    levels, formants = _tracks(seconds, speaker)
    count = int(seconds * rate_hz)
    at = np.arange(count) / rate_hz / _STEP_S
    steps = np.arange(len(levels))
    phase = np.cumsum(pitch_hz(seconds, rate_hz, speaker)) / rate_hz
    glottis = np.diff(np.maximum(0.0, np.sin(2 * np.pi * phase)) ** 2, prepend=0.0) * rate_hz / 2000
    noise = np.random.default_rng(5).standard_normal(count)
    sound = glottis * np.interp(at, steps, levels[:, 0])
    for i, bandwidth_hz in enumerate(_BANDWIDTHS_HZ):
        sound = _resonate(sound, np.interp(at, steps, formants[:, i]), bandwidth_hz, rate_hz)
    hiss = np.diff(noise, prepend=0.0) * np.interp(at, steps, levels[:, 1]) * 0.1 * np.std(sound)
    sound = sound + hiss + 1e-4 * np.std(sound) * noise
    return np.asarray(0.5 * sound / np.max(np.abs(sound)), dtype=np.float32)


def have_recordings() -> bool:
    """Whether recordings of real people are on this machine."""
    return all((_MEDIA / name).exists() for name in RECORDINGS.values())


def recording(name: str, rate_hz: int, seconds: float = 30.0) -> NDArray[np.float32]:
    """(n,) float32, mono: the recording of that name in RECORDINGS, at most `seconds` of it."""
    parts: list[NDArray[np.float32]] = []
    with av.open(str(_MEDIA / RECORDINGS[name])) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate_hz)
        for frame in container.decode(audio=0):
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    return np.concatenate(parts)[: int(seconds * rate_hz)].astype(np.float32)


def voices(rate_hz: int, seconds: float) -> dict[str, NDArray[np.float32]]:
    """A man and a woman who speak for some seconds: recorded where possible, else synthetic."""
    if have_recordings():
        return {name: recording(name, rate_hz, seconds) for name in ("man_a", "woman")}
    high = Speaker(f0_hz=205.0, tract=1.15)
    return {"man_a": speech(seconds, rate_hz), "woman": speech(seconds, rate_hz, high)}

"""How a speaker's frames become another voice: pitch map, vocal-tract warp, envelope shift, breath, whisper.

Called by the embedded voice engines between analysis and synthesis. Every change of voice glides over some 50 ms of
frames, past the speaker's own voice (`voice_path`), and since pulses are placed one by one no click can arise. The
direction of an adaptive preset and the map towards a reference follow the speaker as measured so far.
"""

from dataclasses import dataclass, replace
from math import log

import numpy as np
from numpy.typing import NDArray

from models import voice_match
from models.engines import VoiceSettings
from models.voice_frames import BINS, Frames
from models.voice_match import RunningStatistics, VoiceStatistics
from models.voice_path import keep_away
from models.voice_presets import check, effective, preset, too_close

_SEMITONE = log(2.0) / 12
_LEVELLING = 0.01  # of the way, each frame
_LOUDEST_STEP = 20.0  # times the running power
_LEAST_POWER = 1e-6
_GLIDE = 0.2  # of the way, each 5 ms frame
_LOW_VOICE_HZ = 165.0
_HYSTERESIS = 1.12
_REFRESH_FRAMES = 200
_BLOCK_FRAMES = 4
"""Frames after each of which the voice may turn elsewhere, 20 ms: the grid that all hops lie on."""
_ASSUMED_SD = 0.18
_FALLBACK_SEMITONES, _FALLBACK_FORMANT, _FALLBACK_COLOUR = 4.0, 1.1, 2.0
_F0_RANGE_HZ = (55.0, 880.0)
_BREATH_TILT = np.linspace(0.35, 1.0, BINS)
_WHISPER_TILT = np.minimum(1.0, (np.arange(BINS) + 1) / 43.0)  # below 1 kHz a whisper lacks the voice's boom

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """The frames of the other voice, and how they came about, for an engine that bends the wave itself."""

    frames: Frames
    formant_ratio: Array
    """(n,): by how much frequencies were stretched."""
    colour: Array
    """(n, BINS): log power added after the stretching, loudness correction included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Log pitch out = slope * log pitch in + offset; the rest per frame as well."""

    scalars: Array
    """(5,): slope, offset, log formant ratio, breath, whisper."""
    envelope: Array
    """(BINS,) log power to add."""


class VoiceShaper:
    """The voice worn by one stream."""

    def __init__(self, settings: VoiceSettings) -> None:
        self._speaker = RunningStatistics()
        self._up: bool | None = None
        self._reference: VoiceStatistics | None = None
        self._shape: _Shape | None = None
        self._powers = np.zeros(2)
        self._wear(settings)

    def set_voice(self, settings: VoiceSettings) -> None:
        """Glide to `settings` from the next frame on; ValueError with a sentence as in `voice_presets.check`."""
        self._wear(settings)

    def _wear(self, settings: VoiceSettings) -> None:
        check(settings)
        self._reference = voice_match.statistics_of(settings.reference) if settings.reference else None
        self._settings = settings
        self._planned_at, self._planned_known = -_REFRESH_FRAMES, False
        self._target: _Shape | None = None

    def apply(self, frames: Frames) -> Frames:
        """The frames of the other voice, as many as came in, as loud as they were."""
        return self.shape(frames).frames

    def shape(self, frames: Frames) -> Shaped:
        """Like `apply`, and how it was done."""
        glides = [self._learn(_part(frames, first)) for first in range(0, len(frames.f0_hz), _BLOCK_FRAMES)]
        scalars, envelope = (np.concatenate(rows) for rows in zip(*glides, strict=True))
        after = _shaped(frames, scalars, envelope)
        gain = self._level(frames, after)[:, None]
        return Shaped(
            frames=replace(after, power=after.power * gain),
            formant_ratio=np.exp(scalars[:, 2]),
            colour=envelope + np.log(gain),
        )

    def _learn(self, frames: Frames) -> tuple[Array, Array]:
        """Listen to a block of frames, and glide over it."""
        silent_so_far = self._speaker.voiced == 0
        self._speaker.update(frames)
        target = self._plan()
        if self._shape is None or silent_so_far:
            self._shape = target
        scalars, envelope = self._glide(target, len(frames.f0_hz))
        usual_hz = self._speaker.median_f0_hz() or _LOW_VOICE_HZ
        return keep_away(scalars, target.scalars, frames.f0_hz, usual_hz), envelope

    def _level(self, before: Frames, after: Frames) -> Array:
        """(n,) power gain that keeps the loudness over half a second; frame by frame would undo their contrast."""
        powers = np.stack([_audible(before), _audible(after)], axis=1)
        gain = np.empty(len(powers))
        for i, pair in enumerate(powers):
            # One bang must not set the loudness of what follows it.
            bounded = pair * min(1.0, _LOUDEST_STEP * (self._powers[0] + _LEAST_POWER) / (pair[0] + _LEAST_POWER))
            self._powers += _LEVELLING * (bounded - self._powers)
            gain[i] = (self._powers[0] + _LEAST_POWER) / (self._powers[1] + _LEAST_POWER)
        return gain

    def _glide(self, target: _Shape, count: int) -> tuple[Array, Array]:
        """(n, 5) scalars and (n, BINS) envelopes on their exponential way to the target."""
        assert self._shape is not None
        left = (1 - _GLIDE) ** np.arange(1, count + 1)[:, None]
        begin = self._shape.scalars.copy()
        if (begin[0] == 0) != (target.scalars[0] == 0):  # half a melody is somebody's: it comes and goes at once
            begin[:2] = target.scalars[:2]
        scalars = target.scalars + (begin - target.scalars) * left
        envelope = target.envelope + (self._shape.envelope - target.envelope) * left
        self._shape = _Shape(scalars=scalars[-1], envelope=envelope[-1])
        return scalars, envelope

    def _plan(self) -> _Shape:
        """The shape to glide to: made anew when the direction turns and with every second of voice heard."""
        turned, heard = self._turn(), self._speaker.voiced + self._speaker.whispered
        aged = heard - self._planned_at >= _REFRESH_FRAMES or self._speaker.known is not self._planned_known
        if self._target is None or turned or aged:
            self._planned_at, self._planned_known = heard, self._speaker.known
            self._target = self._towards_preset() if self._reference is None else self._towards(self._reference)
        return self._target

    def _turn(self) -> bool:
        """Choose up for deep voices and down for high ones; True when the choice changed."""
        pitch_hz = self._speaker.median_f0_hz()
        if pitch_hz is None:
            return False
        border = _LOW_VOICE_HZ * (1.0 if self._up is None else _HYSTERESIS if self._up else 1 / _HYSTERESIS)
        before, self._up = self._up, pitch_hz < border
        return before is not self._up

    def _towards_preset(self) -> _Shape:
        chosen = preset(self._settings.preset)
        semitones, formant_ratio = effective(chosen, self._settings, up=self._up is not False)
        slope, offset = 1.0, semitones * _SEMITONE
        if chosen.monotone_hz is not None:
            slope, offset = 0.0, offset + log(chosen.monotone_hz)
        breath = max(chosen.breath, self._settings.breath)
        envelope, own = np.zeros(BINS), self._speaker.envelope
        if chosen.colour and own is not None:
            envelope = voice_match.colour_shift(own, formant_ratio, chosen.colour)
        return _Shape(scalars=np.array([slope, offset, log(formant_ratio), breath, chosen.whisper]), envelope=envelope)

    def _towards(self, reference: VoiceStatistics) -> _Shape:
        speaker = self._speaker.summary()
        known, own = self._speaker.known, self._speaker.envelope
        if speaker is None or not known:
            speaker = _assumed(speaker, reference)
        ratio = voice_match.tract_ratio(speaker, reference) if known else 1.0
        apart = (reference.log_f0_mean - speaker.log_f0_mean) / _SEMITONE
        semitones, stretched = apart + self._settings.pitch_semitones, ratio * self._settings.formant_ratio
        alike = too_close(apart, ratio)
        if too_close(semitones, stretched):  # judged with the controls in it: they could take the reference back
            direction = 1.0 if self._up is not False else -1.0
            semitones, ratio = direction * _FALLBACK_SEMITONES, _FALLBACK_FORMANT**direction
            stretched = ratio
        envelope = np.zeros(BINS)
        if known and not alike:
            envelope = voice_match.envelope_shift(speaker, reference, ratio)
        elif own is not None:  # the reference's envelope may be the speaker's own, and would be put back by it
            envelope = voice_match.colour_shift(own, stretched, _FALLBACK_COLOUR)
        slope = float(np.clip(reference.log_f0_sd / speaker.log_f0_sd, 0.6, 1.6))
        offset = speaker.log_f0_mean * (1 - slope) + semitones * _SEMITONE
        log_ratio = log(stretched)
        return _Shape(scalars=np.array([slope, offset, log_ratio, self._settings.breath, 0.0]), envelope=envelope)


def _part(frames: Frames, first: int) -> Frames:
    """One block of them."""
    rows = slice(first, first + _BLOCK_FRAMES)
    return Frames(
        f0_hz=frames.f0_hz[rows],
        power=frames.power[rows],
        aperiodicity=frames.aperiodicity[rows],
        gain=frames.gain[rows],
    )


def _assumed(speaker: VoiceStatistics | None, reference: VoiceStatistics) -> VoiceStatistics:
    """A stand-in while the speaker is hardly known: their pitch if heard, else somebody an octave's third away."""
    mean = speaker.log_f0_mean if speaker else reference.log_f0_mean - _FALLBACK_SEMITONES * _SEMITONE
    return VoiceStatistics(log_f0_mean=mean, log_f0_sd=_ASSUMED_SD, envelope=reference.envelope)


def _audible(frames: Frames) -> Array:
    """(n,) power above some 90 Hz, where a voice begins."""
    return np.asarray(frames.power[:, 4:].sum(axis=1))


def _shaped(frames: Frames, scalars: Array, envelope: Array) -> Frames:
    slope, offset, log_ratio, breath, whisper = scalars.T
    voiced = frames.f0_hz > 0
    f0 = np.exp(slope * np.log(np.where(voiced, frames.f0_hz, 1.0)) + offset)
    power, aperiodicity = _warp(frames, np.exp(log_ratio))
    power = power * np.exp(envelope) * _WHISPER_TILT ** (2 * whisper[:, None])
    tonal = (1 - aperiodicity) * (1 - breath[:, None] * _BREATH_TILT) * (1 - whisper[:, None])
    return Frames(
        f0_hz=np.where(voiced & (whisper < 0.99), np.clip(f0, *_F0_RANGE_HZ), 0.0),
        power=power,
        aperiodicity=1 - tonal,
        gain=frames.gain,
    )


def _warp(frames: Frames, ratio: Array) -> tuple[Array, Array]:
    """Stretch power (in its logarithm) and aperiodicity along frequency, `ratio` (n,) per frame."""
    source = np.minimum(np.arange(BINS) / ratio[:, None], BINS - 1.0)
    below = np.minimum(source.astype(np.intp), BINS - 2)
    share = source - below
    log_power = np.log(frames.power)

    def at(table: Array) -> Array:
        low, high = np.take_along_axis(table, below, 1), np.take_along_axis(table, below + 1, 1)
        return np.asarray(low + (high - low) * share)

    return np.exp(at(log_power)), at(frames.aperiodicity)

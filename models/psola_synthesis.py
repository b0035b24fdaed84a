"""TD-PSOLA that never restarts: a voice out of its own periods, cut at pitch marks and laid down closer or wider.

Moulines and Charpentier (1990), "Pitch-synchronous waveform processing techniques for text-to-speech synthesis using
diphones". A grain spans two periods around a pitch mark; read faster or slower it moves the formants, and a
minimum-phase filter colours it. Everything unvoiced, whisper and breath is the noise of `world_synthesis`, which needs
no pyworld. Marks, grain positions and the tail live on from hop to hop. Called by `models.psola_voice_engine`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.voice_frames import FFT_SIZE, FRAME_SAMPLES, RATE_HZ, Frames
from models.voice_shaping import Shaped
from models.world_synthesis import LOW_CUT, PRE_RING_SAMPLES, WorldSynthesiser, minimum_phase

LEAD_SAMPLES = RATE_HZ * 12 // 1000
"""Constant delay that leaves room for the rising half of a grain; longer ones rise faster."""
DELAY_S = LEAD_SAMPLES / RATE_HZ

_LONGEST_FALL = 400
_MARK_SEARCH = 0.15  # of a period, on each side
_PEAK_WEIGHT = 0.3
_NO_MARK = -1e9
_LEVELLING = 0.01  # of the way, each frame
_LEAST_POWER = 1e-6
_LOG_LOW_CUT = np.log(np.maximum(LOW_CUT, 1e-3))

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grain:
    """Two periods of the speaker; positions in samples from the hop's start."""

    at: float
    source: float
    reach: float
    step: float
    speed: float
    gain: float
    frame: int


class PsolaSynthesiser:
    """The running output of one stream; deterministic for a seed."""

    def __init__(self, *, seed: int) -> None:
        self._noise = WorldSynthesiser(seed=seed)
        self._last_hz = np.zeros(2)
        self._mark = _NO_MARK
        self._next = 0.0
        self._energies = np.full(2, _LEAST_POWER)
        self._tail = np.zeros(LEAD_SAMPLES + FFT_SIZE)

    def synthesise(self, signal: Array, origin: int, frames: Frames, shaped: Shaped) -> Array:
        """Turn n frames into n * FRAME_SAMPLES samples.

        `signal[origin]` is the sample at the last frame of the call before; what follows the last frame must go on for
        two periods of the lowest voice.
        """
        hop = len(frames.f0_hz) * FRAME_SAMPLES
        grains = self._place(signal, origin, frames, shaped)
        self._last_hz = np.array([frames.f0_hz[-1], shaped.frames.f0_hz[-1]])
        self._mark, self._next = self._mark - hop, self._next - hop
        out = np.concatenate([self._tail, np.zeros(hop)])
        late = LEAD_SAMPLES - PRE_RING_SAMPLES
        out[late : late + hop] += self._noise.synthesise(replace(shaped.frames, f0_hz=np.zeros_like(frames.f0_hz)))
        if grains:
            self._lay(out, grains, _cut(signal, origin, grains), shaped)
        self._tail = out[hop:]
        return out[:hop]

    def _lay(self, out: Array, grains: list[_Grain], waves: Array, shaped: Shaped) -> None:
        """Add the grains into the running output, as loud over half a second as the shaped frames say."""
        frame = np.array([grain.frame for grain in grains])
        coloured = _coloured(waves, frame, shaped)
        harmonic = 1 - np.square(shaped.frames.aperiodicity)
        density = (shaped.frames.power * harmonic).mean(axis=1) * np.square(shaped.frames.gain)
        for grain, wave in zip(grains, coloured, strict=True):
            pace = _LEVELLING * grain.step / FRAME_SAMPLES
            self._energies += pace * (np.array([density[grain.frame], wave @ wave / grain.step]) - self._energies)
            start, gain = int(np.floor(grain.at)), np.sqrt(self._energies[0] / self._energies[1])
            out[start : start + FFT_SIZE] += wave * np.clip(gain, 0.5, 2.0)

    def _place(self, signal: Array, origin: int, frames: Frames, shaped: Shaped) -> list[_Grain]:
        """Walk over the hop frame by frame, so that the hop's length decides nothing."""
        before = np.concatenate([self._last_hz[:1], frames.f0_hz])
        after = np.concatenate([self._last_hz[1:], shaped.frames.f0_hz])
        grains = []
        for i in range(len(frames.f0_hz)):
            while self._next < (i + 1) * FRAME_SAMPLES:
                at, weight = self._next, self._next / FRAME_SAMPLES - i
                own_hz, out_hz = _between(before[i : i + 2], weight), _between(after[i : i + 2], weight)
                if not (own_hz and out_hz and frames.gain[i]):
                    self._next += FRAME_SAMPLES
                    continue
                period, step, speed = RATE_HZ / own_hz, RATE_HZ / out_hz, float(shaped.formant_ratio[i])
                self._next += step
                self._follow(signal, origin, at, period)
                gain = float(frames.gain[i]) * speed * np.sqrt(step / period)
                reach = period / speed
                grains.append(_Grain(at=at, source=self._mark, reach=reach, step=step, speed=speed, gain=gain, frame=i))
        return grains

    def _follow(self, signal: Array, origin: int, at: float, period: float) -> None:
        """Move the pitch mark to the one nearest to `at`."""
        if at - self._mark > 3 * period:
            self._mark = _loudest(signal, origin, at - period / 2, at + period / 2)
        while self._mark + period / 2 < at:
            self._mark = _alike(signal, origin, self._mark, period)


def _between(pair: Array, weight: float) -> float:
    """Pitch between two frames; at an edge of voicing that of the frame to come."""
    first, second = float(pair[0]), float(pair[1])
    return first + (second - first) * weight if first and second else second


def _loudest(signal: Array, origin: int, start: float, stop: float) -> float:
    """The strongest sample, either way: where a first period is most likely excited."""
    first = origin + int(start)
    return float(first - origin + np.argmax(np.abs(signal[first : origin + int(stop) + 1])))


def _alike(signal: Array, origin: int, mark: float, period: float) -> float:
    """One period on, where the wave is most like that around `mark`, with some leaning towards strong samples."""
    half, search = int(period / 2), max(2, int(period * _MARK_SEARCH))
    here, there = origin + round(mark), origin + round(mark + period)
    pattern = signal[here - half : here + half + 1]
    field = signal[there - search - half : there + search + half + 1]
    likeness = np.correlate(field, pattern, mode="valid")
    energy = np.cumsum(np.square(np.concatenate([[0.0], field])))
    norm = np.sqrt(energy[len(pattern) :] - energy[: -len(pattern)]) * np.linalg.norm(pattern) + 1e-9
    places = np.abs(signal[there - search : there + search + 1])
    score = likeness / norm + _PEAK_WEIGHT * places / (np.abs(pattern).max() + 1e-9)
    return float(there - search + int(np.argmax(score)) - origin)


def _cut(signal: Array, origin: int, grains: list[_Grain]) -> Array:
    """(m, LEAD_SAMPLES + _LONGEST_FALL) windowed waves, the mark of each near column LEAD_SAMPLES."""
    at, source, reach, speed, gain = (
        np.array([[getattr(grain, name)] for grain in grains]) for name in ("at", "source", "reach", "speed", "gain")
    )
    time = np.arange(-LEAD_SAMPLES, _LONGEST_FALL) - (at - np.floor(at))
    half = np.where(time < 0, np.minimum(reach, LEAD_SAMPLES - 1), np.minimum(reach, _LONGEST_FALL - 1))
    window = 0.5 + 0.5 * np.cos(np.pi * np.clip(time / half, -1.0, 1.0))
    return np.asarray(_interpolated(signal, origin + source + time * speed) * window * gain)


def _interpolated(signal: Array, place: Array) -> Array:
    """The wave between its samples: cubic (Catmull and Rom 1974)."""
    place = np.clip(place, 1.0, len(signal) - 3.0)
    whole = np.floor(place).astype(np.intp)
    x = place - whole
    a, b, c, d = (signal[whole + i] for i in (-1, 0, 1, 2))
    return np.asarray(b + 0.5 * x * (c - a + x * (2 * a - 5 * b + 4 * c - d + x * (3 * (b - c) + d - a))))


def _coloured(waves: Array, frame: NDArray[np.intp], shaped: Shaped) -> Array:
    """(m, FFT_SIZE): the grains through the filters of their frames, what turns to noise taken out."""
    harmonic = np.maximum(1 - np.square(shaped.frames.aperiodicity), 1e-6)
    filters = np.exp(minimum_phase(0.5 * (shaped.colour + np.log(harmonic)) + _LOG_LOW_CUT))
    return np.fft.irfft(np.fft.rfft(waves, FFT_SIZE, axis=1) * filters[frame], FFT_SIZE, axis=1)

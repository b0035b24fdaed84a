"""WORLD synthesis that never restarts: a voice out of frames, pulse by pulse, with everything carried across hops.

Pulses (minimum-phase responses of the envelope at sub-sample positions) and noise grains (10 ms, one a frame) are
added into one running buffer. Pulse phase, the buffer's tail, the last frame and the noise generator live on from hop
to hop, so hops join without a cross-fade. Called by `models.world_voice_engine`. The model is Morise, Yokomori and
Ozawa (2016); noise as overlapped grains instead of one burst a pulse is ours: cheaper, and the same for every hop.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.voice_frames import BINS, FFT_SIZE, FRAME_SAMPLES, RATE_HZ, Frames, silent_frames

PRE_RING_SAMPLES = 8
"""Constant delay that leaves room for the ringing of a sub-sample shift before its pulse."""
DELAY_S = PRE_RING_SAMPLES / RATE_HZ
LOW_CUT = np.minimum(1.0, np.arange(BINS) * RATE_HZ / FFT_SIZE / 60.0) ** 2
"""(BINS,) amplitude: no DC, nothing below speech."""

_GRAIN = 2 * FRAME_SAMPLES
_NOISE_FFT = 256  # shortest power of two that holds a grain
_NOISE_BINS = _NOISE_FFT // 2 + 1
_FOLD = FFT_SIZE // _NOISE_FFT
_FLOOR = 1e-16
_ANGULAR = 2 * np.pi * np.arange(BINS) / FFT_SIZE
_CAUSAL = np.concatenate([[1.0], np.full(FFT_SIZE // 2 - 1, 2.0), [1.0], np.zeros(FFT_SIZE // 2 - 1)])
_GRAIN_WINDOW = np.sin(np.pi * (np.arange(_GRAIN) + 0.5) / _GRAIN)  # squares of neighbours sum to one

Array = NDArray[np.float64]
Spectra = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pulses:
    """Where pulses fall: (m,) arrays; `frame` counts from the frame before the hop."""

    position: Array
    period: Array
    frame: NDArray[np.intp]
    weight: Array


def minimum_phase(log_amplitude: Array) -> Spectra:
    """Complex log spectrum of the minimum-phase filter with this log amplitude, by the real cepstrum."""
    cepstrum = np.fft.irfft(log_amplitude, FFT_SIZE, axis=1) * _CAUSAL
    return np.asarray(np.fft.rfft(cepstrum, axis=1))


class WorldSynthesiser:
    """The running output of one stream; deterministic for a seed."""

    def __init__(self, *, seed: int) -> None:
        self._noise = np.random.default_rng(seed)
        self._phase = 0.0
        self._last = silent_frames(1)
        self._last_filter: Spectra = np.zeros((1, BINS), dtype=np.complex128)
        self._tail = np.zeros(PRE_RING_SAMPLES + FFT_SIZE + _GRAIN)

    def synthesise(self, frames: Frames) -> Array:
        """Turn n frames into n * FRAME_SAMPLES samples, from the last frame of the call before to the last of this."""
        hop = len(frames.f0_hz) * FRAME_SAMPLES
        out = np.concatenate([self._tail, np.zeros(hop)])
        self._add_noise(out, frames)
        self._add_pulses(out, frames)
        self._last = Frames(
            f0_hz=frames.f0_hz[-1:],
            power=frames.power[-1:],
            aperiodicity=frames.aperiodicity[-1:],
            gain=frames.gain[-1:],
        )
        self._tail = out[hop:]
        return out[:hop]

    def _add_noise(self, out: Array, frames: Frames) -> None:
        """One grain of random phase a frame, centred on it; the generator gives the same numbers whatever the hop."""
        power = frames.power * np.square(frames.aperiodicity * frames.gain[:, None] * LOW_CUT)
        amplitude = np.sqrt(_fold(power) * _NOISE_FFT)
        turn = self._noise.random((len(power), _NOISE_BINS))
        grains = np.fft.irfft(np.exp(2j * np.pi * turn) * amplitude, _NOISE_FFT, axis=1)[:, :_GRAIN]
        grains *= _GRAIN_WINDOW
        # The grain of frame i begins at the frame before it, which is where hop sample i * FRAME_SAMPLES lies.
        for i, grain in enumerate(grains):
            start = PRE_RING_SAMPLES + i * FRAME_SAMPLES
            out[start : start + _GRAIN] += grain

    def _add_pulses(self, out: Array, frames: Frames) -> None:
        harmonic = np.maximum(1 - np.square(frames.aperiodicity), 1e-6)
        filters = minimum_phase(0.5 * np.log(np.maximum(frames.power, _FLOOR) * harmonic))
        filters = np.concatenate([self._last_filter, filters])
        self._last_filter = filters[-1:]
        f0 = np.concatenate([self._last.f0_hz, frames.f0_hz])
        gain = np.concatenate([self._last.gain, frames.gain]) * (f0 > 0)
        pulses = self._place(f0)
        if not len(pulses.position):
            return
        for start, response in zip(*_responses(pulses, filters, gain, f0 > 0), strict=True):
            out[start : start + FFT_SIZE] += response

    def _place(self, f0: Array) -> _Pulses:
        """Integrate pitch over the hop; a pulse falls wherever the phase passes a whole number."""
        count = (len(f0) - 1) * FRAME_SAMPLES
        frame = np.arange(count) // FRAME_SAMPLES
        weight = np.arange(count) % FRAME_SAMPLES / FRAME_SAMPLES
        before, after = f0[frame], f0[frame + 1]
        both = (before > 0) & (after > 0)
        pitch = np.where(both, before + (after - before) * weight, np.maximum(before, after))
        phase = self._phase + np.cumsum(pitch) / RATE_HZ
        whole = np.floor(phase)
        hits = np.flatnonzero(np.diff(whole, prepend=np.floor(self._phase)) > 0)
        self._phase = float(phase[-1] % 1.0)
        late = (phase[hits] - whole[hits]) * RATE_HZ / pitch[hits]
        return _Pulses(position=hits + 1 - late, period=RATE_HZ / pitch[hits], frame=frame[hits], weight=weight[hits])


def _fold(power: Array) -> Array:
    """Average (n, BINS) power onto the coarser noise grid, (n, _NOISE_BINS)."""
    first = _FOLD // 2
    inner = power[:, first : first + _FOLD * (_NOISE_BINS - 2)].reshape(len(power), _NOISE_BINS - 2, _FOLD)
    return np.concatenate([np.zeros((len(power), 1)), inner.mean(axis=2), power[:, -1:]], axis=1)


def _responses(
    pulses: _Pulses, filters: Spectra, gain: Array, voiced: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], Array]:
    """Start sample and waveform of each pulse; at the edge of voicing the voiced side's filter fades in or out."""
    left, right, weight = pulses.frame, pulses.frame + 1, pulses.weight
    share = np.where(voiced[left] & voiced[right], weight, np.where(voiced[right], 1.0, 0.0))[:, None]
    fade = np.where(voiced[left], gain[left] * np.cos(np.pi / 2 * weight), 0.0) ** 2
    fade = np.sqrt(fade + np.where(voiced[right], gain[right] * np.sin(np.pi / 2 * weight), 0.0) ** 2)
    start = np.floor(pulses.position).astype(np.intp)
    delay = PRE_RING_SAMPLES + pulses.position - start
    spectra = np.exp(filters[left] * (1 - share) + filters[right] * share - 1j * delay[:, None] * _ANGULAR)
    spectra *= (np.sqrt(pulses.period) * fade)[:, None] * LOW_CUT
    return start, np.fft.irfft(spectra, FFT_SIZE, axis=1)

"""Measures of converted speech that the voice tests and the voice bench share: seams, pitch, mel correlation."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.engines import Samples, VoiceEngine, VoiceSettings, VoiceStream
from models.pitch_track import PitchTracker
from models.resample import Resampler
from models.world_voice_engine import WorldVoiceEngine

Array = NDArray[np.float64]
INNER_HZ = 24_000


def open_stream(
    settings: VoiceSettings, *, rate_hz: int = 48_000, hop_ms: int = 40, engine: VoiceEngine | None = None
) -> VoiceStream:
    """A stream of `engine`, or of a fresh WORLD engine."""
    return (engine or WorldVoiceEngine()).open(sample_rate_hz=rate_hz, hop_ms=hop_ms, settings=settings)


def convert(
    wave: Samples,
    settings: VoiceSettings,
    *,
    rate_hz: int = 48_000,
    hop_ms: int = 40,
    each: Callable[[int, VoiceStream], None] | None = None,
    engine: VoiceEngine | None = None,
) -> Samples:
    """Convert a whole wave hop by hop and take the stream's delay off: as long as the wave, in time with it."""
    stream = open_stream(settings, rate_hz=rate_hz, hop_ms=hop_ms, engine=engine)
    hop, delay = rate_hz * hop_ms // 1000, round(stream.delay_ms * rate_hz / 1000)
    count = -(-(len(wave) + delay) // hop)
    padded = np.concatenate([wave, np.zeros(count * hop - len(wave), dtype=np.float32)])
    out = []
    for i in range(count):
        if each is not None:
            each(i, stream)
        out.append(stream.convert(padded[i * hop : (i + 1) * hop]))
    return np.concatenate(out)[delay : delay + len(wave)]


def inner(wave: Samples, rate_hz: int = 48_000) -> Array:
    """The wave at 24 kHz, the resampler's delay taken off."""
    resampler = Resampler(rate_hz, INNER_HZ)
    late = round(resampler.delay_s * INNER_HZ)
    whole = len(wave) // 6 * 6
    out = resampler.convert(np.concatenate([wave[:whole].astype(np.float64), np.zeros(rate_hz // 50)]))
    return out[late : late + whole * INNER_HZ // rate_hz]


def pitch(wave: Samples, rate_hz: int = 48_000) -> Array:
    """Pitch in Hz every 5 ms, 0 where unvoiced."""
    signal = inner(wave, rate_hz)
    centres = np.arange(len(signal) // 120, dtype=np.float64) * 120
    return PitchTracker(INNER_HZ).track(signal, centres, len(centres))


def cents(before: Array, after: Array) -> Array:
    """Interval between two pitch tracks, where both are voiced and neither within 15 ms of an edge."""
    count = min(len(before), len(after))
    voiced = (before[:count] > 0) & (after[:count] > 0)
    inside = np.convolve(voiced, np.ones(7), mode="same") > 6.5
    return np.asarray(1200 * np.log2(after[:count][inside] / before[:count][inside]))


def roughness(wave: Samples, period: int, offset: int) -> tuple[Array, Array]:
    """How rough the wave is at its seams, every `period` samples from `offset`, and at places that are none.

    Roughness is the peak of the second difference within 1 ms over the local RMS, where there is sound.
    """
    wave64 = wave.astype(np.float64)
    bend = np.abs(np.diff(wave64, 2))
    energy = np.concatenate([[0.0], np.cumsum(wave64**2)])
    near, around = 48, 192

    def rough(places: NDArray[np.intp]) -> Array:
        places = places[(places > around) & (places < len(bend) - around)]
        rms = np.sqrt((energy[places + around] - energy[places - around]) / (2 * around))
        peaks = np.array([bend[p - near : p + near].max() for p in places])
        loud = rms > 0.01
        return np.asarray(peaks[loud] / rms[loud])

    seams = np.arange(offset, len(bend), period)
    elsewhere = np.random.default_rng(0).integers(0, len(bend), 6000)
    distance = np.abs((elsewhere - offset + period // 2) % period - period // 2)
    return rough(seams), rough(elsewhere[distance > 2 * near])


def seam_ratio(wave: Samples, period: int, offset: int) -> float:
    """How rough the wave is at the seams against elsewhere, see `roughness`; 1 means that no seam shows."""
    at_seams, elsewhere = roughness(wave, period, offset)
    return float(np.mean(at_seams)) / float(np.mean(elsewhere))


def log_mel(wave: Samples, rate_hz: int = 48_000) -> Array:
    """(frames, 40) log power in mel bands, 25 ms every 10 ms, floored 60 dB below the loudest."""
    width, step = rate_hz // 40, rate_hz // 100
    frames = np.lib.stride_tricks.sliding_window_view(wave.astype(np.float64), width)[::step] * np.hanning(width)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 42) / 2595) - 1)
    hz = np.fft.rfftfreq(width, 1 / rate_hz)
    rise, fall = (hz - edges[:-2, None]) / np.diff(edges)[:-1, None], (edges[2:, None] - hz) / np.diff(edges)[1:, None]
    bands = power @ np.maximum(0, np.minimum(rise, fall)).T
    return np.asarray(np.log(np.maximum(bands, bands.max() * 1e-6)))

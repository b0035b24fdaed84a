"""Measures of a voice stream's cuts, for the tests of voice quality and the bench: what a hop leaves in the sound.

A recording is converted at one hop several times, each time begun a little later, so that the cuts fall on other
sounds: a few dozen cuts of one run say little, since speech is rough here and smooth there by itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from models.engines import Samples, VoiceEngine, VoiceProfile, VoiceSettings, VoiceStream
from models.rvc_voice_engine import LoadedVoice, RvcVoiceStream
from tests.voice_measures import Array, convert, roughness

RATE_HZ = 48_000
_BIN = RATE_HZ // 1000
_CONTENT_FRAME = RATE_HZ // 50
_QUIETEST = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A converted wave, in time with what went in, and where its hops join: every `period` samples from `offset`."""

    wave: Samples
    period: int
    offset: int


def cut_runs(wave: Samples, settings: VoiceSettings, *, engine: VoiceEngine, hop_ms: int, runs: int) -> Iterator[Cut]:
    """Convert the wave `runs` times, begun at moments spread over a hop, 20 ms at the least."""
    stream = engine.open(sample_rate_hz=RATE_HZ, hop_ms=hop_ms, settings=settings)
    hop, late = RATE_HZ * hop_ms // 1000, round(stream.delay_ms * RATE_HZ / 1000)
    for begin in range(0, hop, max(hop // runs, RATE_HZ // 50)):
        lead = np.concatenate([np.zeros(begin, np.float32), wave])
        yield Cut(wave=convert(lead, settings, hop_ms=hop_ms, engine=engine), period=hop, offset=-late % hop)


def jump_ratio(cuts: list[Cut]) -> float:
    """How rough the waves are where hops join against where they do not, see `voice_measures.roughness`; 1: no seam."""
    at_cuts, elsewhere = zip(*(roughness(cut.wave, cut.period, cut.offset) for cut in cuts), strict=True)
    return float(np.concatenate(at_cuts).mean() / np.concatenate(elsewhere).mean())


def hop_lines_db(cuts: list[Cut]) -> float:
    """How far the rate of hops and its harmonics up to 500 Hz stand out of the roughness of the waves, in dB; 0: not.

    Of the log power of the second difference, 1000 times a second: at each of those lines the power of the spectrum
    over that beside it, as a mean over lines and runs, so that the slow rise and fall of speech counts no more. Not at
    50 Hz and its multiples: there the content's own frames are heard, whatever the hop.
    """
    return float(10 * np.log10(np.concatenate([_lines(cut) for cut in cuts]).mean()))


def _lines(cut: Cut) -> Array:
    """At each line, its power over what lies beside it; none in a wave too short to tell them apart."""
    bend = np.diff(cut.wave.astype(np.float64), 2)[(cut.offset + _BIN // 2) % _BIN :]
    power = np.square(bend[: len(bend) // _BIN * _BIN]).reshape(-1, _BIN).mean(axis=1)
    level = np.log(power + _QUIETEST * power.mean())
    # A whole number of hops: then each line is on a bin of its own.
    level = level[: len(level) // (cut.period // _BIN) * (cut.period // _BIN)]
    spectrum = np.abs(np.fft.rfft((level - level.mean()) * np.hanning(len(level)))) ** 2
    step = len(level) * _BIN // cut.period
    places, beside = np.arange(step, len(spectrum) - step // 2, step), range(4, min(step // 2, 16))
    places = places[(np.arange(len(places)) + 1) * _CONTENT_FRAME % cut.period > 0]
    if not beside:
        return np.empty(0)
    around = np.stack([spectrum[places + near] for side in beside for near in (side, -side)]).mean(axis=0)
    return np.asarray(spectrum[places] / around)


class OneVoice:
    """A `VoiceEngine` around a loaded imported voice."""

    name = "rvc"

    def __init__(self, voice: LoadedVoice) -> None:
        self._voice = voice

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> VoiceStream:
        """A fresh stream; it takes any hop."""
        return RvcVoiceStream(self._voice, sample_rate_hz=sample_rate_hz, settings=settings)

    def measure(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """Never."""
        raise ValueError("No clip.")


class Forgetful:
    """A `VoiceEngine` that makes each hop anew out of a window of sound, as if it were the first: seams on purpose."""

    def __init__(self, engine: VoiceEngine, *, window_hops: int = 4) -> None:
        self.name = engine.name
        self._engine = engine
        self._window_hops = window_hops

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> VoiceStream:
        """One that remembers nothing but sound."""

        def fresh() -> VoiceStream:
            return self._engine.open(sample_rate_hz=sample_rate_hz, hop_ms=hop_ms, settings=settings)

        return _ForgetfulStream(fresh, sample_rate_hz * hop_ms // 1000 * self._window_hops)

    def measure(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """As the engine does."""
        return self._engine.measure(clip, sample_rate_hz)


class _ForgetfulStream:
    def __init__(self, fresh: Callable[[], VoiceStream], window: int) -> None:
        self._fresh = fresh
        self._sound = np.zeros(window, np.float32)
        self.delay_ms = fresh().delay_ms

    def set_voice(self, settings: VoiceSettings) -> None:
        raise AssertionError("nothing measured here changes its voice")

    def convert(self, hop: Samples) -> Samples:
        self._sound = np.concatenate([self._sound[len(hop) :], hop])
        stream = self._fresh()
        return [stream.convert(part) for part in self._sound.reshape(-1, len(hop))][-1]

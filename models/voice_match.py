"""Voice disguise towards a reference ("like this clip"): what is kept of a voice, and the map from one to another.

Kept are the mean and spread of log pitch and the mean spectral envelope in mel bands: too little to clone anyone,
enough to lean the disguise in the reference's direction. The clip is measured once, the speaker online. Called by
the embedded voice engines and `models.voice_shaping`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.engines import Samples, VoiceProfile
from models.resample import Resampler
from models.voice_frames import BINS, FRAME_MS, RATE_HZ, Frames

BANDS = 48
_TOP_HZ = 7800.0  # a 16 kHz clip says nothing above
_MIN_CLIP_S, _MAX_CLIP_S = 3.0, 30.0
_MIN_VOICED_FRAMES = 200
_LEAST_VOICED_FRAMES, _LEAST_WHISPER_FRAMES = 40, 300
_SHIFT_LIMIT = 2.2  # of log power, about 9.5 dB
_COLOUR_LIMIT = 4.0  # about 17 dB
# Long-term average speech of 12 languages, men and women, dB in third-octave bands (Byrne et al. 1994, table II).
_LTASS_HZ = (
    100,
    125,
    160,
    200,
    250,
    315,
    400,
    500,
    630,
    800,
    1000,
    1250,
    1600,
    2000,
    2500,
    3150,
    4000,
    5000,
    6300,
    8000,
)
_LTASS_DB = (
    *(54.4, 57.7, 56.8, 60.2, 60.3, 59.0, 62.1, 62.1, 60.5, 56.8),
    *(53.7, 53.0, 52.0, 48.7, 48.1, 46.8, 45.6, 44.5, 44.3, 43.7),
)
_WARPS = np.arange(0.86, 1.165, 0.01)
_SMOOTHING = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9.0

Array = NDArray[np.float64]


def _mel(hz: Array | float) -> Array:
    """O'Shaughnessy's mel scale."""
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0))


_BIN_HZ = np.linspace(0.0, RATE_HZ / 2, BINS)
_BAND_HZ = 700.0 * (10.0 ** (np.linspace(_mel(100.0), _mel(_TOP_HZ), BANDS) / 2595.0) - 1.0)
_BIN_BAND = np.interp(_BIN_HZ, _BAND_HZ, np.arange(BANDS))


def _band_matrix() -> Array:
    """(BINS, BANDS) triangular bands whose columns sum to one."""
    weights = np.maximum(0.0, 1.0 - np.abs(_BIN_BAND[:, None] - np.arange(BANDS)))
    weights[(_BAND_HZ[0] > _BIN_HZ) | (_BIN_HZ > _TOP_HZ)] = 0.0
    nearest = np.argmin(np.abs(_BIN_HZ[:, None] - _BAND_HZ), axis=0)
    weights[nearest, np.arange(BANDS)] += 1e-6
    return np.asarray(weights / weights.sum(axis=0))


_TO_BANDS = _band_matrix()


def band_envelopes(power: Array) -> Array:
    """(n, BANDS) log power in mel bands, the loudness (mean over bands) taken out."""
    bands = np.log(power @ _TO_BANDS + 1e-16)
    return np.asarray(bands - bands.mean(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceStatistics:
    """A voice in a few numbers: natural log pitch and mean log-power envelope, (BANDS,)."""

    log_f0_mean: float
    log_f0_sd: float
    envelope: Array


class RunningStatistics:
    """The speaker's statistics, learnt from voiced frames as they come; forgets over about half a minute.

    Of somebody who has only whispered so far the envelope is learnt from that.
    """

    _HORIZON = 4000.0
    _PITCH_FRAMES = 200

    def __init__(self) -> None:
        self.voiced = 0
        self._weight = 0.0
        self._sums = np.zeros(2)
        self._envelope = np.zeros(BANDS)
        self._recent: list[float] = []
        self.whispered = 0
        self._whisper_weight = 0.0
        self._whisper = np.zeros(BANDS)

    def update(self, frames: Frames) -> None:
        """Learn from the voiced, audible frames."""
        if not self.known:
            self._listen_to_whisper(frames)
        heard = (frames.f0_hz > 0) & (frames.gain > 0.5)
        count = int(heard.sum())
        if not count:
            return
        log_f0 = np.log(frames.f0_hz[heard])
        keep = (1 - 1 / self._HORIZON) ** count
        self._weight = self._weight * keep + count
        self._sums = self._sums * keep + [log_f0.sum(), np.square(log_f0).sum()]
        self._envelope = self._envelope * keep + band_envelopes(frames.power[heard]).sum(axis=0)
        self._recent = (self._recent + log_f0.tolist())[-self._PITCH_FRAMES :]
        self.voiced += count

    @property
    def known(self) -> bool:
        """Whether enough voice was heard for the spread of its pitch and its envelope to mean something."""
        return self.voiced >= _LEAST_VOICED_FRAMES

    @property
    def envelope(self) -> Array | None:
        """(BANDS,) mean log-power envelope: of the voice, or of whoever has only whispered, for 1.5 s; else None."""
        if self.known:
            return self._envelope / self._weight
        return self._whisper / self._whisper_weight if self.whispered >= _LEAST_WHISPER_FRAMES else None

    def _listen_to_whisper(self, frames: Frames) -> None:
        heard = (frames.f0_hz <= 0) & (frames.gain >= 1.0)
        count = int(heard.sum())
        keep = (1 - 1 / self._HORIZON) ** count
        self._whisper_weight = self._whisper_weight * keep + count
        self._whisper = self._whisper * keep + band_envelopes(frames.power[heard]).sum(axis=0)
        self.whispered += count

    def median_f0_hz(self) -> float | None:
        """Median pitch of the last second of voice; None before any was heard."""
        return float(np.exp(np.median(self._recent))) if self._recent else None

    def summary(self) -> VoiceStatistics | None:
        """What has been learnt; None before any voice was heard."""
        if not self.voiced:
            return None
        mean, square = self._sums / self._weight
        spread = float(np.sqrt(max(square - mean * mean, 0.0)))
        return VoiceStatistics(
            log_f0_mean=float(mean), log_f0_sd=max(spread, 0.05), envelope=self._envelope / self._weight
        )


def measure(clip: Samples, sample_rate_hz: int, analyse: Callable[[Array], Frames]) -> VoiceProfile:
    """Measure a reference clip, (n,) at `sample_rate_hz`, 3 to 30 s; ValueError when it holds no usable speech.

    `analyse` is the engine's own analysis of a whole clip at 24 kHz.
    """
    if sample_rate_hz not in (8000, 16000, 22050, 24000, 32000, 44100, 48000):
        raise ValueError("The clip's sample rate must be 8, 16, 22.05, 24, 32, 44.1 or 48 kHz.")
    if clip.ndim != 1 or not np.isfinite(clip).all():
        raise ValueError("The clip must be one channel of finite samples.")
    seconds = len(clip) / sample_rate_hz
    if not _MIN_CLIP_S <= seconds <= _MAX_CLIP_S:
        raise ValueError(f"The clip must last {_MIN_CLIP_S:.0f} to {_MAX_CLIP_S:.0f} s.")
    frames = analyse(_at_inner_rate(clip, sample_rate_hz))
    statistics = RunningStatistics()
    statistics.update(_without_octave_errors(frames))
    summary = statistics.summary()
    if summary is None or statistics.voiced < _MIN_VOICED_FRAMES:
        need_s = _MIN_VOICED_FRAMES * FRAME_MS / 1000
        raise ValueError(f"The clip must hold at least {need_s:.0f} s of voiced speech by one person.")
    return VoiceProfile(
        values={
            "log_f0_mean": summary.log_f0_mean,
            "log_f0_sd": summary.log_f0_sd,
            "envelope": tuple(summary.envelope.tolist()),
        }
    )


def statistics_of(profile: VoiceProfile) -> VoiceStatistics:
    """Read a profile made by `measure`; ValueError when it is something else."""
    envelope = np.asarray(profile.values.get("envelope", ()), dtype=np.float64)
    mean, spread = profile.values.get("log_f0_mean"), profile.values.get("log_f0_sd")
    if envelope.shape != (BANDS,) or not isinstance(mean, float) or not isinstance(spread, float):
        raise ValueError("That reference voice was not measured by this engine; measure the clip again.")
    return VoiceStatistics(log_f0_mean=mean, log_f0_sd=spread, envelope=envelope)


def _at_inner_rate(clip: Samples, sample_rate_hz: int) -> Array:
    whole = sample_rate_hz // np.gcd(sample_rate_hz, RATE_HZ)
    signal = np.clip(clip[: len(clip) // whole * whole], -1.0, 1.0).astype(np.float64)
    return Resampler(sample_rate_hz, RATE_HZ).convert(signal)


def _without_octave_errors(frames: Frames) -> Frames:
    voiced = frames.f0_hz > 0
    if not voiced.any():
        return frames
    leap = np.abs(np.log(np.where(voiced, frames.f0_hz, 1.0)) - np.log(np.median(frames.f0_hz[voiced])))
    return Frames(
        f0_hz=np.where(leap < 0.6, frames.f0_hz, 0.0),
        power=frames.power,
        aperiodicity=frames.aperiodicity,
        gain=frames.gain,
    )


def _warped(envelope: Array, ratio: float) -> Array:
    """The envelope of a vocal tract whose resonances lie `ratio` times higher."""
    return np.asarray(np.interp(_BAND_HZ / ratio, _BAND_HZ, envelope))


def _shape(envelope: Array) -> Array:
    """The envelope without its tilt: what resonances leave."""
    position = np.linspace(-1.0, 1.0, BANDS)
    return np.asarray(envelope - np.polyval(np.polyfit(position, envelope, 2), position))


def tract_ratio(speaker: VoiceStatistics, reference: VoiceStatistics) -> float:
    """Formant ratio, 0.86 to 1.16, that brings the speaker's mean envelope closest to the reference's."""
    wanted = _shape(reference.envelope)
    return float(min(_WARPS, key=lambda a: float(np.square(_shape(_warped(speaker.envelope, a)) - wanted).sum())))


def envelope_shift(speaker: VoiceStatistics, reference: VoiceStatistics, ratio: float) -> Array:
    """(BINS,) log power to add after the warp, smoothed over bands and clipped to about +-9.5 dB."""
    return _over_bins(reference.envelope - _warped(speaker.envelope, ratio), _SHIFT_LIMIT)


def colour_shift(own: Array, ratio: float, strength: float) -> Array:
    """(BINS,) log power that takes a speaker's own colour, (BANDS,), out once it is warped, clipped to about +-17 dB.

    At strength 1 the mean envelope becomes that of average speech; above, the speaker's deviation turns round.
    """
    return _over_bins(strength * (_average_envelope() - _warped(own, ratio)), _COLOUR_LIMIT)


def _over_bins(bands: Array, limit: float) -> Array:
    smooth = np.convolve(np.pad(bands, 2, mode="edge"), _SMOOTHING, mode="valid")
    clipped = np.clip(smooth - smooth.mean(), -limit, limit)
    return np.asarray(np.interp(_BIN_BAND, np.arange(BANDS), clipped))


def _average_envelope() -> Array:
    """(BANDS,) log power density of average speech, mean zero."""
    hz = np.array(_LTASS_HZ, dtype=np.float64)
    density_db = np.array(_LTASS_DB) - 10 * np.log10(hz * (2 ** (1 / 6) - 2 ** (-1 / 6)))
    envelope = np.interp(np.log(_BAND_HZ), np.log(hz), density_db * np.log(10) / 10)
    return np.asarray(envelope - envelope.mean())

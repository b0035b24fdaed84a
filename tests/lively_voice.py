"""Small networks in the places of a voice's that speak: an imported voice of a few lines of numpy, for what is heard.

Each looks around as far as the real one and is as easily misled: content is levelled over its whole window and smeared
over its neighbours, with nothing beyond the edge; pitch is read off the mel picture, smoothed over five frames; the
latent sees content and noise to both sides; the decoder is a bank of harmonics and noise that looks 80 ms to each side.
"""

from collections.abc import Mapping

import numpy as np

from models.rmvpe_decode import BINS, CENTS_PER_BIN, FIRST_BIN_CENTS
from models.rmvpe_front import mel_bank
from models.rvc_voice_engine import LoadedVoice
from models.voice_graph import BEYOND_FRAMES, HELD_FRAMES, LADDER, LATENT_CHANNELS, STEP_FRAMES
from models.voice_networks import CONTENT_V2, PITCH
from models.voice_pitch import RmvpePitch
from tests.voice_stand_ins import Array, StandIn

BANDS = 24
_HARMONICS = 10
_TOP_HZ = 6000.0
_FFT = 512
_BAND_HZ = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + _TOP_HZ / 700), BANDS + 2) / 2595) - 1)


def _triangles(hz: Array) -> Array:
    """Weights [len(hz), BANDS]."""
    rise = (hz[:, None] - _BAND_HZ[:-2]) / np.diff(_BAND_HZ)[:-1]
    fall = (_BAND_HZ[2:] - hz[:, None]) / np.diff(_BAND_HZ)[1:]
    return np.maximum(0, np.minimum(rise, fall))


def _smeared(rows: Array, taps: Array) -> Array:
    """Each row [.., T, W] with its neighbours in time; zeros beyond the edges."""
    reach = len(taps) // 2
    padded = np.pad(rows, [(0, 0)] * (rows.ndim - 2) + [(reach, reach), (0, 0)])
    count = rows.shape[-2]
    return np.asarray(sum(tap * padded[..., place : place + count, :] for place, tap in enumerate(taps)))


_FAR = np.exp(-np.abs(np.arange(-8, 9)) / 2.0)
_FAR /= _FAR.sum()
_NEAR = np.exp(-2.0 * np.abs(np.arange(-8, 9)))
_NEAR /= _NEAR.sum()
_HANN = np.hanning(402)[1:-1]
_CONTENT_BANK = _triangles(np.fft.rfftfreq(_FFT, 1 / 16_000))


def content(feeds: Mapping[str, Array]) -> Array:
    """Features [n, 50, BANDS]: log bands of the frame's 25 ms, less a tenth of the window's mean, smeared by half."""
    frames = np.lib.stride_tricks.sliding_window_view(feeds[CONTENT_V2.given], 400, axis=1)[:, ::320]
    power = np.abs(np.fft.rfft(frames * _HANN, _FFT, axis=2)) ** 2 @ _CONTENT_BANK
    bands = np.log(power + 1e-6) + 13.8
    return np.asarray(0.5 * bands + 0.5 * _smeared(bands, _FAR) - 0.1 * bands.mean(axis=1, keepdims=True), np.float32)


def _templates() -> Array:
    """Weights [128, BINS]: what the mel picture of a voice of each pitch looks like, of mean 0."""
    bins_hz = np.linspace(0, 8000, mel_bank().shape[1])
    pitches_hz = 10 * 2 ** ((CENTS_PER_BIN * np.arange(BINS) + FIRST_BIN_CENTS) / 1200)
    made = np.zeros((len(mel_bank()), BINS))
    for number, pitch_hz in enumerate(pitches_hz):
        if not 70 < pitch_hz < 500:
            continue
        cycles = bins_hz / pitch_hz
        comb = np.cos(2 * np.pi * cycles) * np.exp(-cycles / 6) * (cycles > 0.5)
        row = np.log1p(mel_bank() @ np.maximum(comb, 0))
        row -= row.mean()
        made[:, number] = row / np.linalg.norm(row)
    return made


_TEMPLATES = _templates()


def pitch(feeds: Mapping[str, Array]) -> Array:
    """Salience [n, 96, 360] by likeness to a comb of harmonics; loud frames are voiced."""
    pictures = _smeared(feeds[PITCH.given].transpose(0, 2, 1), np.array([0.1, 0.2, 0.4, 0.2, 0.1]))
    low = np.where(np.arange(pictures.shape[2]) < 90, pictures - pictures.mean(axis=2, keepdims=True), 0)
    likeness = low @ _TEMPLATES
    likeness /= np.linalg.norm(low, axis=2, keepdims=True) + 1e-6
    loud = pictures.max(axis=2, keepdims=True) > -3.0
    return np.asarray(np.clip(likeness, 0, 1) ** 4 * loud, np.float32)


def latent(feeds: Mapping[str, Array]) -> Array:
    """Latent [1, 192, hop and what seems to follow]: bands with content of both sides and of all, and noise."""
    features = feeds["features"]
    mixed = _smeared(features, _NEAR) + 0.05 * features.mean(axis=1, keepdims=True)
    mixed += 0.2 * feeds["latent_noise"][:, :BANDS].transpose(0, 2, 1).mean(axis=1, keepdims=True)
    steps = mixed[:, -(STEP_FRAMES + BEYOND_FRAMES) : -BEYOND_FRAMES].reshape(-1, BANDS)
    steps = np.concatenate([steps, mixed[-1, -BEYOND_FRAMES:-HELD_FRAMES]])
    made = np.zeros((1, LATENT_CHANNELS, len(steps)), np.float32)
    made[0, :BANDS] = steps.T
    return made


def decoder(feeds: Mapping[str, Array]) -> Array:
    """Audio [1, n]: harmonics of the phase and noise, each as loud as its band says, bands smeared and interpolated."""
    bands = _smeared(feeds["latent"][0, :BANDS].T, _NEAR)
    pitch_hz, count = feeds["pitch_hz"][0], feeds["pitch_hz"].shape[1]
    noise = feeds["source_noise"].reshape(count, -1)
    samples = noise.shape[1]
    time_s = np.arange(samples) / samples / 100
    cycles = feeds["phase"][0, :, None] + pitch_hz[:, None] * time_s
    loud = np.exp(0.5 * bands - 9.2)
    at = np.arange(count * samples) / samples - 0.5
    audio = np.interp(at, np.arange(count), np.where(pitch_hz > 0, 0.02, 0.3) * loud.mean(axis=1)) * noise.reshape(-1)
    for harmonic in range(1, _HARMONICS + 1):
        level = (loud * _triangles(np.minimum(harmonic * pitch_hz, _TOP_HZ))).sum(axis=1) * (pitch_hz > 0)
        audio += 0.5 * np.interp(at, np.arange(count), level) * np.sin(2 * np.pi * harmonic * cycles).reshape(-1)
    return np.asarray(audio[None], np.float32)


def voice(sample_rate_hz: int = 40_000) -> LoadedVoice:
    """All rungs of it."""
    return LoadedVoice(
        content=StandIn(content),
        pitch=RmvpePitch(StandIn(pitch)),
        latent=dict.fromkeys(LADDER, StandIn(latent)),
        decoder=dict.fromkeys(LADDER, StandIn(decoder)),
        feature_width=BANDS,
        sample_rate_hz=sample_rate_hz,
    )

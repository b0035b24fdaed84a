"""What RMVPE sees: the log-mel picture of 16 kHz sound, in numpy. Called where that network tracks a voice's pitch.

Sizes after RVC-Project (MIT) and Wei et al. 2023 (arXiv 2306.15412): 1024-point frames each 10 ms, magnitudes, 128
bands of 30-8000 Hz on the HTK mel scale with Slaney's area normalization, natural logarithm with a floor of 1e-5.
"""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
HOP = 160
FFT_SIZE = 1024
MELS = 128
LOW_HZ, HIGH_HZ = 30.0, 8000.0
FLOOR = 1e-5
FRAME_MULTIPLE = 32
"""The network halves time five times; a picture is filled up to a multiple, with zeros (silence would be -11.5)."""
STEP_SAMPLES = 320
"""The steps of a moving picture: 20 ms."""
_STEP_FRAMES = STEP_SAMPLES // HOP
_MIRRORED = 3
"""Frames of a moving picture whose sound is not all there yet: centred 5, 15 and 25 ms before the end, 32 to a side."""
_MIRRORED_SAMPLES = (FFT_SIZE - HOP) // 2
_FRESH_SAMPLES = (_MIRRORED + _STEP_FRAMES - 1) * HOP + FFT_SIZE - _MIRRORED_SAMPLES
"""Back to where the first frame begins that is computed at a step."""

Picture = NDArray[np.float32]


def log_mel(wave: NDArray[np.float32]) -> Picture:
    """Log mel [128, n // 160 + 1] of `wave` [n], n > 512; frame k is centred on sample 160 k, edges reflected."""
    padded = np.pad(wave, FFT_SIZE // 2, mode="reflect")
    return _bands(sliding_window_view(padded, FFT_SIZE)[::HOP]).T


class MovingPicture:
    """The pictures that end with each 20 ms of a stream; a frame is computed anew only while its edge is mirrored.

    The last frame of a picture is centred 5 ms before its end.
    """

    def __init__(self, frames: int) -> None:
        """`frames` of 10 ms each; before the stream there was silence."""
        self._wave = np.zeros(_FRESH_SAMPLES - STEP_SAMPLES, np.float32)
        self._settled = np.full((frames - _MIRRORED, MELS), np.log(FLOOR), np.float32)

    def push(self, wave: NDArray[np.float32]) -> Picture:
        """Take the next n steps of 20 ms, [320 n]; log mel [n, 128, frames]."""
        sound = np.concatenate([self._wave, wave])
        self._wave = sound[len(wave) :]
        fresh = sliding_window_view(sound, _FRESH_SAMPLES)[::STEP_SAMPLES]
        mirrored = fresh[:, -2 : -2 - _MIRRORED_SAMPLES : -1]
        bands = _bands(sliding_window_view(np.concatenate([fresh, mirrored], axis=1), FFT_SIZE, axis=1)[:, ::HOP])
        line = np.concatenate([self._settled, bands[:, :_STEP_FRAMES].reshape(-1, MELS)])
        self._settled = line[_STEP_FRAMES * len(fresh) :]
        settled = sliding_window_view(line, len(self._settled), axis=0)[_STEP_FRAMES::_STEP_FRAMES]
        return np.concatenate([settled, bands[:, _STEP_FRAMES:].transpose(0, 2, 1)], axis=2)


def _bands(frames: Picture) -> Picture:
    """Log mel [..., 128] of frames [..., 1024]."""
    magnitudes = np.abs(np.fft.rfft(frames * _window(), axis=-1)).astype(np.float32)
    return np.asarray(np.log(np.maximum(magnitudes @ mel_bank().T, np.float32(FLOOR))), np.float32)


def padded_to_network(picture: Picture) -> Picture:
    """The picture with zeros behind it, up to a multiple of 32 frames."""
    missing = -picture.shape[1] % FRAME_MULTIPLE
    return np.pad(picture, ((0, 0), (0, missing)))


@cache
def mel_bank() -> NDArray[np.float32]:
    """Triangles [128, 513] over the bins of the transform, each of area 1 in Hz (times two, as Slaney has it)."""
    bins_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, FFT_SIZE // 2 + 1)
    low, high = _mel(LOW_HZ), _mel(HIGH_HZ)
    corners_hz = 700.0 * (10.0 ** (np.linspace(low, high, MELS + 2) / 2595.0) - 1.0)
    left, centre, right = corners_hz[:-2, None], corners_hz[1:-1, None], corners_hz[2:, None]
    rising, falling = (bins_hz - left) / (centre - left), (right - bins_hz) / (right - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    bank: NDArray[np.float32] = (triangles * (2.0 / (right - left))).astype(np.float32)
    return bank


def _mel(hz: float) -> float:
    """Hertz on the HTK mel scale."""
    return float(2595.0 * np.log10(1.0 + hz / 700.0))


@cache
def _window() -> NDArray[np.float32]:
    """Hann's window, periodic, computed in float32 as the network's training did: its rounding shows in quiet bands."""
    turn = np.float32(2 * np.pi / FFT_SIZE) * np.arange(FFT_SIZE, dtype=np.float32)
    window: NDArray[np.float32] = np.float32(0.5) - np.float32(0.5) * np.cos(turn)
    return window

"""The leak detector: does the far end of a call see the sender's raw face, or hear the sender's raw voice?

`FaceWatch` knows every raw frame that was sent and looks for it in each received one; `VoiceWatch` knows the raw
samples and looks for any 18 ms of them. Both look only at what a converted call must not share with the raw one (skin
away from the eyes and the inner mouth, which a swap keeps; the waveform in every band, which resynthesis never keeps),
and both are tested in `test_leak_detector.py` on real codecs. Called by every test that carries a call.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import signal

from models.engines import Frame, Samples
from tests.media import Box, Clip

FACE_PX = 64
FACE_LEAK = 0.87
"""Through H.264 and VP8 at 300-1200 kbps: raw faces >= 0.96, pasted other faces <= 0.67, 16x16 blurs <= 0.78."""

RATE_HZ = 16000
BANDS_HZ = ((200, 900), (900, 1800), (1800, 3000), (3000, 4600), (4600, 7000))
WINDOW = 144
HOP = 36
_HALF = WINDOW // HOP
VOICE_LEAK = 8.0
"""Through Opus at 96 kbps: converted speech (five presets) <= 7.6; 894 of 896 single raw packets above."""
VOICE_FLOOR = 3e-6
HALF_MAX = 7.0
"""No half convinces alone: two onsets of a vowel are alike for 9 ms, not for 18."""
GAIN_MAX = 4.0
"""A leak is at most 12 dB louder or softer than what was sent; ringing at the edge of a silence is not one."""
LAG_S = (-0.1, 2.0)
_BATCH = 128

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceLeak:
    """A received frame that shows a raw face: which one, how alike (0..1), and which sent frame it is."""

    index: int
    likeness: float
    sent_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceLeak:
    """Raw voice in the received sound: where, and the evidence in nats over 18 ms, `VOICE_LEAK` and up."""

    at_s: float
    evidence: float


class FaceWatch:
    """Knows the raw faces of the clips that were sent."""

    def __init__(self, *clips: Clip) -> None:
        self._faces: list[tuple[int, Box, tuple[int, int]]] = []
        raw: list[Float] = []
        known: set[tuple[int, Box]] = set()  # a clip that is played to and fro shows each of its frames twice
        for clip in clips:
            for index, (frame, boxes) in enumerate(zip(clip.frames, clip.faces, strict=True)):
                for box in [box for box in boxes if (id(frame), box) not in known]:
                    known.add((id(frame), box))
                    self._faces.append((index, box, clip.size_px))
                    raw.append(_skin_gradients(_grey(frame), box))
        self._raw = np.stack(raw)

    def likeness(self, received: Frame) -> tuple[float, int]:
        """How much of any raw face a frame shows where that face was, 0..1, and the index of that sent frame."""
        seen, height, width = _grey(received), received.shape[0], received.shape[1]
        shown = np.stack([_skin_gradients(seen, _scaled(box, width / w, height / h)) for _, box, (w, h) in self._faces])
        alike = np.einsum("ij,ij->i", self._raw, shown)
        best = int(np.argmax(alike))
        return float(alike[best]), self._faces[best][0]

    def leaks(self, received: Iterable[Frame]) -> list[FaceLeak]:
        """Every received frame that shows a raw face."""
        judged = ((index, *self.likeness(frame)) for index, frame in enumerate(received))
        return [
            FaceLeak(index=index, likeness=likeness, sent_index=sent)
            for index, likeness, sent in judged
            if likeness >= FACE_LEAK
        ]


class VoiceWatch:
    """Knows the raw samples that were sent."""

    def __init__(self, sent: Samples, sample_rate_hz: int) -> None:
        self._raw = _bands(sent, sample_rate_hz)

    def evidence(self, received: Samples, sample_rate_hz: int, lag_s: tuple[float, float] = LAG_S) -> Float:
        """Evidence that the 18 ms from each `HOP` on, at `RATE_HZ`, are raw sound sent `lag_s` earlier.

        Of each band the squared correlation r2 at one lag gives -log(1 - r2), the log likelihood of "raw plus noise"
        against "something else"; it adds up over the bands and over two windows in a row at the same lag.
        """
        heard = _bands(received, sample_rate_hz)
        low, high = round(lag_s[0] * RATE_HZ), round(lag_s[1] * RATE_HZ)
        count = (heard.shape[1] - WINDOW) // HOP + 1 - _HALF
        if count < 1:
            return np.zeros(0, np.float32)
        end = max(0, heard.shape[1] - self._raw.shape[1]) - low + 2 * WINDOW + _BATCH * HOP
        sent = np.pad(self._raw, ((0, 0), (high, end)))
        batches = range(0, count, _BATCH)
        return np.concatenate([_evidence(heard, sent, at, min(count, at + _BATCH), high - low) for at in batches])

    def leaks(self, received: Samples, sample_rate_hz: int, lag_s: tuple[float, float] = LAG_S) -> list[VoiceLeak]:
        """Where raw voice is heard most clearly; neighbouring windows are one leak."""
        evidence = self.evidence(received, sample_rate_hz, lag_s)
        heard = np.flatnonzero(evidence >= VOICE_LEAK)
        groups = np.split(heard, np.flatnonzero(np.diff(heard) > 4) + 1) if len(heard) else []
        peaks = [int(group[np.argmax(evidence[group])]) for group in groups]
        return [VoiceLeak(at_s=peak * HOP / RATE_HZ, evidence=float(evidence[peak])) for peak in peaks]


def _grey(frame: Frame) -> Float:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.float32)


def _scaled(box: Box, x: float, y: float) -> Box:
    return box[0] * x, box[1] * y, box[2] * x, box[3] * y


@functools.cache
def _skin() -> Float:
    """Weights over the face crop: 1 on skin, 0 on the eyes, the inner mouth and outside the oval."""
    y, x = (np.mgrid[0:FACE_PX, 0:FACE_PX] / FACE_PX).astype(np.float32)
    skin = ((x - 0.5) / 0.46) ** 2 + ((y - 0.5) / 0.48) ** 2 < 1
    for centre_x, centre_y, half_x, half_y in (
        (0.28, 0.37, 0.17, 0.09),
        (0.72, 0.37, 0.17, 0.09),
        (0.5, 0.78, 0.22, 0.08),
    ):
        skin &= ((x - centre_x) / half_x) ** 2 + ((y - centre_y) / half_y) ** 2 >= 1
    return np.asarray(skin, np.float32)


def _skin_gradients(grey: Float, box: Box) -> Float:
    """Gradients of the face's skin as one vector of at most unit length; a flat surface gives about none."""
    x0, y0, x1, y1 = box
    matrix = np.array([[(x1 - x0) / FACE_PX, 0, x0], [0, (y1 - y0) / FACE_PX, y0]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(grey, matrix, (FACE_PX, FACE_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    along_x = cv2.Sobel(crop, cv2.CV_32F, 1, 0) * _skin()
    along_y = cv2.Sobel(crop, cv2.CV_32F, 0, 1) * _skin()
    vector = np.concatenate([along_x.ravel(), along_y.ravel()])
    return np.asarray(vector / (np.linalg.norm(vector) + 20), np.float32)


@functools.cache
def _filters() -> tuple[NDArray[np.float64], ...]:
    return tuple(signal.butter(3, band, "bandpass", fs=RATE_HZ, output="sos") for band in BANDS_HZ)


def _bands(samples: Samples, sample_rate_hz: int) -> Float:
    """The sound at `RATE_HZ`, one row a band."""
    down = signal.resample_poly(samples, 1, sample_rate_hz // RATE_HZ) if sample_rate_hz != RATE_HZ else samples
    return np.stack([signal.sosfilt(filter_, down) for filter_ in _filters()]).astype(np.float32)


def _evidence(heard: Float, sent: Float, first: int, last: int, lags: int) -> Float:
    """Best evidence over `lags` for the hops `first` to `last`; `sent` starts the longest lag before `heard`.

    The bands' 1 - r2 are multiplied, and one logarithm taken of the best: adding up logarithms costs twice the time.
    """
    starts = np.arange(first, last + _HALF) * HOP
    stretch = sent[:, starts[0] : starts[-1] + WINDOW + lags]
    windows = np.stack([heard[:, start : start + WINDOW] for start in starts], axis=1)
    loudness = np.sqrt((windows**2).mean(2)) + VOICE_FLOOR
    if loudness.max() < 1e-4:
        return np.zeros(last - first, np.float32)
    energy = np.cumsum(np.pad(stretch.astype(np.float64) ** 2, ((0, 0), (1, 0))), axis=1)
    loud = np.sqrt(np.maximum(energy[:, WINDOW:] - energy[:, :-WINDOW], 0) / WINDOW).astype(np.float32) + VOICE_FLOOR
    spans = [slice(row * HOP, row * HOP + lags + 1) for row in range(len(starts))]
    unlike = np.ones((len(starts), lags + 1), np.float32)
    for band, wave in enumerate(stretch):
        scaled = windows[band] / (WINDOW * loudness[band][:, None])
        r = (scaled @ np.lib.stride_tricks.sliding_window_view(wave, WINDOW).T) / loud[band]
        apart = 1 - np.clip(r, 0, 0.995) ** 2
        for row, span in enumerate(spans):
            unlike[row] *= apart[row, span]
    np.maximum(unlike, np.float32(np.exp(-HALF_MAX)), out=unlike)
    power, own = (loud**2).sum(axis=0), (loudness**2).sum(axis=0)
    for row, span in enumerate(spans):
        gain = np.sqrt(own[row] / power[span])
        unlike[row][(gain <= 1 / GAIN_MAX) | (gain >= GAIN_MAX)] = 1
    return np.asarray(-np.log((unlike[:-_HALF] * unlike[_HALF:]).min(axis=1)), np.float32)

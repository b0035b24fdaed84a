"""The decoder's own time, which runs faster or slower than the speaker's: that is how a formant is moved.

A decoder that makes sound of the latent of 10 ms in 11, which is then played in 10, sings every resonance a tenth
higher. RVC-Project (MIT) does it so for a whole block; here every decoded frame has its place in the stream's time and
is written once, so that windows of all hops show it the same, and a formant glides. While nobody asks for one the two
times are one, and the very samples of the decoder pass. Called by `models.voice_timeline`.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.frame_track import Track
from models.voice_graph import HEARD_AHEAD_FRAMES, LATENT_CHANNELS

FRAMES_A_SECOND = 100
_NEAR = 0.4
"""A place so little behind a frame shows that frame: two semitones down, the three decoded frames behind a hop, which
the decoder's first layer sees in full, reach by 0.37 frames over what there is."""
_REACH = 16
"""Samples on each side that a sample between samples is made of."""
_PHASES = 256
_KAISER_BETA = 8.0  # about 80 dB of stop band, as in `models.resample`

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Decoded frames from `begin` on, as the decoder takes them: latent [1, 192, n], pitch_hz and phase [1, n]."""

    begin: int
    latent: Array
    pitch_hz: Array
    phase: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeming:
    """What seems to follow the last frame that is written: latent [n, 192] and pitch_hz [n, 1] of n frames."""

    latent: Array
    pitch_hz: NDArray[np.float64]


class DecoderTime:
    """The decoded frames of one stream: `ratio` of them for each frame of the stream's time."""

    def __init__(self, frame_samples: int) -> None:
        self._frame_samples = frame_samples
        self._latent = Track(LATENT_CHANNELS)
        self._pitch_hz = Track(1, np.float64)
        self._phase = Track(1, np.float64)
        self._place = Track(1, np.float64)
        self._seeming = Seeming(latent=np.zeros((0, LATENT_CHANNELS), np.float32), pitch_hz=np.zeros((0, 1)))
        """The decoded frames that follow, until the next ones are written."""
        self._next_place = 0.0
        self._cycles = 0.0
        self._moved = -1
        """The last decoded frame that is not as far from the next one as frames are."""

    @property
    def end(self) -> int:
        """The first decoded frame that is not written yet."""
        return self._place.end

    def extend(self, latent: Track, pitch_hz: Track, ratio: Track, seeming: Seeming) -> None:
        """Write the decoded frames up to the last latent; `pitch_hz` is what the decoder is to sing, 0 unvoiced.

        `seeming` is what follows those; it is shown until it is known, and never written.
        """
        first, last = floor(self._next_place), latent.end - 1
        ratios = ratio.read(first, last + 1)[:, 0]
        places = []
        while self._next_place <= last + _NEAR:
            places.append(self._next_place)
            step = ratios[floor(self._next_place) - first]
            self._next_place += 1 / step
            if step != 1.0:
                self._moved = self.end + len(places) - 1
        if places:
            at = np.array(places)
            self._latent.append(_between(latent.read(first, last + 1), at - first))
            self._write_pitch(_pitch_between(pitch_hz.read(first, last + 1)[:, 0], at - first))
            self._place.append(at[:, None])
        onward = Seeming(
            latent=np.concatenate([latent.read(last, last + 1), seeming.latent]),
            pitch_hz=np.concatenate([pitch_hz.read(last, last + 1), seeming.pitch_hz]),
        )
        self._seeming = self._decoded(onward, self._next_place - last, 1 / ratios[-1])

    @staticmethod
    def _decoded(onward: Seeming, first: float, step: float) -> Seeming:
        """Frames of the decoder's time, of those of the stream's: at `first` and every `step` from there."""
        at = np.arange(first, len(onward.latent) - 1 + _NEAR, step)
        pitch_hz = _pitch_between(onward.pitch_hz[:, 0], at)[:, None]
        return Seeming(latent=_between(onward.latent, at), pitch_hz=pitch_hz)

    def window(self, frames: int, edge: int) -> Window:
        """What the decoder is to make sound of: frames of its own, `HEARD_AHEAD_FRAMES` after the stream's `edge`.

        Those that are not written yet are as they seem, or as the last one that does.
        """
        known = self._place.read(self.end - min(frames, self.end), self.end)[:, 0]
        at_edge = self.end - len(known) + float(np.interp(edge, known, np.arange(len(known))))
        missing = max(0, ceil(at_edge) + HEARD_AHEAD_FRAMES - self.end)
        begin, end = self.end + missing - frames, self.end
        pitch_hz = _with(self._pitch_hz.read(begin, end), self._seeming.pitch_hz, missing)
        phase = self._phase.read(begin, end)
        onward = phase[-1:] + np.cumsum(pitch_hz[end - begin - 1 : -1], axis=0) / FRAMES_A_SECOND
        return Window(
            begin=begin,
            latent=_with(self._latent.read(begin, end), self._seeming.latent, missing).T[None],
            pitch_hz=pitch_hz.T.astype(np.float32),
            # The last bit of a float32 may round 0.99999999 up to a whole cycle, which is none.
            phase=(np.concatenate([phase, onward]) % 1.0).T.astype(np.float32) % np.float32(1),
        )

    def play(self, audio: Array, first: int, begin: int, frames: int) -> Array:
        """Samples of the stream's frames from `begin` on, out of the decoder's audio [n] from its frame `first` on."""
        places = self._place.read(first, self.end)[:, 0]
        places[: max(0, -first)] = np.arange(first, min(0, self.end))
        if self._moved < first and places[0] == floor(places[0]):
            start = (begin - round(places[0])) * self._frame_samples
            return np.asarray(audio[start : start + frames * self._frame_samples])
        return np.concatenate([self._played(audio, places, begin + frame) for frame in range(frames)])

    def _played(self, audio: Array, places: NDArray[np.float64], frame: int) -> Array:
        """One frame of the stream's time, each sample where it lies between the decoder's."""
        size = self._frame_samples
        wanted = np.interp(frame + np.arange(size) / size, places, np.arange(len(places))) * size
        whole = np.floor(wanted).astype(np.intp)
        around = audio[whole[:, None] + np.arange(1 - _REACH, _REACH + 1)]
        fast = max(1.0, (wanted[-1] - wanted[0]) / (size - 1))
        phase = (wanted - whole) * _PHASES
        row = np.floor(phase).astype(np.intp)
        share = (phase - row)[:, None]
        taps = _taps(round(200 * np.log2(fast)))
        return np.asarray((((1 - share) * taps[row] + share * taps[row + 1]) * around).sum(axis=1), np.float32)

    def _write_pitch(self, pitch_hz: NDArray[np.float64]) -> None:
        cycles = self._cycles + np.cumsum(pitch_hz) / FRAMES_A_SECOND
        starts = np.concatenate([[self._cycles], cycles[:-1]])
        self._cycles = float(cycles[-1] % 1.0)
        self._pitch_hz.append(pitch_hz[:, None])
        self._phase.append((starts % 1.0)[:, None])


def _with(rows: NDArray[Any], onward: NDArray[Any], more: int) -> NDArray[Any]:
    """Rows and so many of those that go on, the last one again where they are too few."""
    found = np.concatenate([rows, onward[:more]])
    return np.concatenate([found, np.repeat(found[-1:], len(rows) + more - len(found), axis=0)])


@lru_cache(maxsize=64)
def _taps(fast: int) -> NDArray[np.float64]:
    """Filters [_PHASES + 1, 2 * _REACH] between two samples, of sound that is played 2 ** (fast / 200) times faster."""
    cutoff = 2 ** (-fast / 200)
    offset = np.arange(1 - _REACH, _REACH + 1) - np.arange(_PHASES + 1)[:, None] / _PHASES
    kaiser = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0.0, 1 - (offset / _REACH) ** 2))) / np.i0(_KAISER_BETA)
    taps = cutoff * np.sinc(cutoff * offset) * kaiser
    return np.asarray(taps / taps.sum(axis=1, keepdims=True))


def _neighbours(at: NDArray[np.float64], rows: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """The rows before and after each place, and how much of the latter is in it."""
    low = np.floor(at).astype(np.intp)
    return low, np.minimum(low + 1, rows - 1), np.maximum(0.0, at - low - _NEAR) / (1 - _NEAR)


def _between(rows: NDArray[Any], at: NDArray[np.float64]) -> NDArray[Any]:
    """Rows at places between rows, linearly (RVC-Project's way); those at whole places as they are."""
    low, high, share = _neighbours(at, len(rows))
    return np.asarray(rows[low] + share[:, None].astype(rows.dtype) * (rows[high] - rows[low]))


def _pitch_between(pitch_hz: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same of a pitch; at an edge of voicing that of the frame before, since half a pitch is another."""
    low, high, share = _neighbours(at, len(pitch_hz))
    before, after = pitch_hz[low], pitch_hz[high]
    return np.where((before > 0) & (after > 0), before + share * (after - before), before)

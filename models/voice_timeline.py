"""What a stream of an imported voice has decided, by absolute 10 ms frames, each value written once.

Features, pitch, phase and latent are appended and never changed; both noises are a function of the frame's number. So
every window that shows a frame shows it the same, and what was cut out of two windows fits without a cross-fade (voice
reference, section 5.3). What a latent's window looks ahead is not committed yet: it is what followed as it seemed then,
kept by the window's end. The frames that the decoder looks ahead are committed as silence before the first hop: from
then on as many frames of audio come out as frames of features go in. Called by `models.rvc_voice_engine`; numpy only.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.coarse_pitch import coarse_pitch
from models.voice_graph import (
    AHEAD_FRAMES,
    FLOWED_FRAMES,
    HOPS_MS,
    LATENT_AHEAD_FRAMES,
    LATENT_CHANNELS,
    LOOK_AHEAD_FRAMES,
    SEEN_FRAMES,
    STEP_FRAMES,
    Rung,
)

KEPT_FRAMES = SEEN_FRAMES + LOOK_AHEAD_FRAMES + 2 * max(HOPS_MS) // 10
_FRAMES_A_SECOND = 100
_NOISE_BLOCK_FRAMES = 16
_LATENT_DRAW, _SOURCE_DRAW = 0, 1

Array = NDArray[np.float32]
Feeds = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Features [n, width] and pitch [n] in Hz, 0 where unvoiced, of n frames in a row."""

    features: Array
    pitch_hz: NDArray[np.floating[Any]]


class Track:
    """Values by absolute frame, appended once and for all; the last `KEPT_FRAMES` can be read."""

    def __init__(self, width: int, dtype: type[np.floating[Any]] = np.float32) -> None:
        self._rows = np.zeros((2 * KEPT_FRAMES, width), dtype)
        self._used = 0
        self.end = 0
        """The first frame that is not written yet."""

    def append(self, rows: NDArray[Any]) -> None:
        """Write the frames from `end` on: [n, width], n at most `KEPT_FRAMES`."""
        count = len(rows)
        if self._used + count > len(self._rows):
            self._rows[:KEPT_FRAMES] = self._rows[self._used - KEPT_FRAMES : self._used]
            self._used = KEPT_FRAMES
        self._rows[self._used : self._used + count] = rows
        self._used += count
        self.end += count

    def read(self, begin: int, end: int) -> NDArray[Any]:
        """Frames [begin, end), a copy; zeros before the stream began. IndexError for what is not there."""
        if end > self.end or begin > end or (begin >= 0 and begin < self.end - self._used):
            raise IndexError(f"frames {begin} to {end} of {self.end - self._used} to {self.end}")
        missing = min(max(0, -begin), end - begin)
        first = self._used - self.end + begin + missing
        found = self._rows[first : first + end - begin - missing]
        return np.concatenate([np.zeros((missing, found.shape[1]), found.dtype), found])


class VoiceTimeline:
    """One stream's frames."""

    def __init__(self, *, feature_width: int, frame_samples: int, seed: int) -> None:
        self._features = Track(feature_width)
        self._pitch_hz = Track(1, np.float64)
        self._features_ahead = Track(feature_width)
        self._pitch_ahead_hz = Track(1, np.float64)
        self._phase = Track(1, np.float64)
        self._latent = Track(LATENT_CHANNELS)
        self._frame_samples = frame_samples
        self._seed = seed
        self._cycles = 0.0
        self.heard = 0
        """The first frame whose audio was not cut out yet."""
        nothing = Frames(features=np.zeros((AHEAD_FRAMES, feature_width), np.float32), pitch_hz=np.zeros(AHEAD_FRAMES))
        self.commit(nothing, nothing)
        self._latent.append(np.zeros((AHEAD_FRAMES, LATENT_CHANNELS), np.float32))

    def commit(self, heard: Frames, ahead: Frames) -> None:
        """Write the next frames, and what seemed to follow every `LATENT_AHEAD_FRAMES`, as many. ValueError if not."""
        counts = {len(rows) for one in (heard, ahead) for rows in (one.features, one.pitch_hz)}
        if len(counts) != 1:
            raise ValueError("Each frame has features and a pitch, and so has what follows it.")
        pitch_hz = heard.pitch_hz
        cycles = self._cycles + np.cumsum(np.asarray(pitch_hz, np.float64)) / _FRAMES_A_SECOND
        starts = np.concatenate([[self._cycles], cycles[:-1]])
        self._cycles = float(cycles[-1] % 1.0)
        self._features.append(heard.features)
        self._pitch_hz.append(np.asarray(pitch_hz)[:, None])
        self._features_ahead.append(ahead.features)
        self._pitch_ahead_hz.append(np.asarray(ahead.pitch_hz)[:, None])
        self._phase.append((starts % 1.0)[:, None])

    def latent_feeds(self, rung: Rung, speaker: int) -> Feeds:
        """What the latent graph takes for the next hop, see `voice_graph.latent_inputs`."""
        first = self._latent.end + STEP_FRAMES + LATENT_AHEAD_FRAMES
        ends = range(first, first + rung.hop, STEP_FRAMES)
        pitch_hz = np.stack([_seen(self._pitch_hz, self._pitch_ahead_hz, end)[:, 0] for end in ends])
        noise = self.latent_noise(first - FLOWED_FRAMES, ends[-1])
        return {
            "features": np.stack([_seen(self._features, self._features_ahead, end) for end in ends]),
            "coarse_pitch": coarse_pitch(pitch_hz),
            "latent_noise": np.stack([noise[:, end - first :][:, :FLOWED_FRAMES] for end in ends]),
            "speaker": np.array([speaker], np.int64),
        }

    def commit_latent(self, latent: Array) -> None:
        """Write what the latent graph gave, [1, 192, hop]."""
        self._latent.append(latent[0].T)

    def decoder_feeds(self, rung: Rung, speaker: int) -> Feeds:
        """What the decoder graph takes for the next hop, see `voice_graph.decoder_inputs`."""
        end = self.heard + rung.hop + AHEAD_FRAMES
        begin = end - rung.decoded
        return {
            "latent": self._latent.read(begin, end).T[None],
            "pitch_hz": self._pitch_hz.read(begin, end).T.astype(np.float32),
            # The last bit of a float32 may round 0.99999999 up to a whole cycle, which is none.
            "phase": self._phase.read(begin, end).T.astype(np.float32) % np.float32(1),
            "source_noise": self.source_noise(begin, end)[None, :, None],
            "speaker": np.array([speaker], np.int64),
        }

    def cut(self, audio: Array, rung: Rung) -> tuple[Array, Array]:
        """Take the hop out of the decoder's audio [1, n]; behind it, what the next hop will begin with as seen now."""
        self.heard += rung.hop
        tail = AHEAD_FRAMES * self._frame_samples
        hop = rung.hop * self._frame_samples
        return audio[0, -(hop + tail) : -tail], audio[0, -tail:]

    def latent_noise(self, begin: int, end: int) -> Array:
        """Gaussian noise [192, end - begin], the same for a frame whenever it is asked for."""
        return _noise(self._seed, _LATENT_DRAW, LATENT_CHANNELS, begin, end).T

    def source_noise(self, begin: int, end: int) -> Array:
        """Gaussian noise [(end - begin) * frame samples], the same for a frame whenever it is asked for."""
        return _noise(self._seed, _SOURCE_DRAW, self._frame_samples, begin, end).reshape(-1)


def _seen(known: Track, ahead: Track, end: int) -> NDArray[Any]:
    """The `SEEN_FRAMES` before `end`, the last of them as they seemed when those before them were committed."""
    now = end - LATENT_AHEAD_FRAMES
    return np.concatenate([known.read(end - SEEN_FRAMES, now), ahead.read(now - LATENT_AHEAD_FRAMES, now)])


def _noise(seed: int, draw: int, width: int, begin: int, end: int) -> Array:
    """Frames [begin, end) of an endless table of normal numbers."""
    first, last = begin // _NOISE_BLOCK_FRAMES, -(-end // _NOISE_BLOCK_FRAMES)
    rows = np.concatenate([_noise_block(seed, draw, width, block) for block in range(first, last)])
    origin = first * _NOISE_BLOCK_FRAMES
    return rows[begin - origin : end - origin]


@lru_cache(maxsize=64)
def _noise_block(seed: int, draw: int, width: int, block: int) -> Array:
    """One block of the table. Negative ones, before the stream, are as random as the others."""
    random = np.random.default_rng([seed, draw, width, 2 * abs(block) + (block < 0)])
    return random.standard_normal((_NOISE_BLOCK_FRAMES, width), np.float32)

"""What a stream of an imported voice has decided, by absolute 10 ms frames, each value written once.

Features, pitch and latent are appended and never changed, and so is what the decoder sees of them, in a time of its own
(`decoder_time`); both noises are a function of the frame's number. So every window shows a frame the same,
and what was cut out of two windows fits without a cross-fade (voice reference, section 5.3). What a latent's window
looks ahead is not committed yet: it is what followed as it seemed then, kept by the window's end; the decoder is shown
the latent of that behind all that is committed. The frames that it waits for are committed as silence before the first
hop: from then on as many frames of audio come out as frames of features go in. Called by `models.rvc_voice_engine`.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.coarse_pitch import coarse_pitch
from models.decoder_time import DecoderTime, Seeming
from models.frame_track import Track
from models.voice_graph import (
    AHEAD_FRAMES,
    BEYOND_FRAMES,
    FLOWED_FRAMES,
    HELD_FRAMES,
    LATENT_AHEAD_FRAMES,
    LATENT_CHANNELS,
    SEEN_FRAMES,
    STEP_FRAMES,
    Rung,
)

PROMISED_FRAMES = 1
"""What is seen of the next hop, for the guard at the cut."""
_TENTHS_AN_OCTAVE = 120
_NOISE_BLOCK_FRAMES = 16
_LATENT_DRAW, _SOURCE_DRAW = 0, 1

Array = NDArray[np.float32]
Feeds = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Features [n, width] and pitch [n] in Hz, 0 where unvoiced, of n frames in a row."""

    features: Array
    pitch_hz: NDArray[np.floating[Any]]


class VoiceTimeline:
    """One stream's frames."""

    def __init__(self, *, feature_width: int, frame_samples: int, seed: int) -> None:
        self._features = Track(feature_width)
        self._pitch_hz = Track(1, np.float64)
        self._features_ahead = Track(feature_width)
        self._pitch_ahead_hz = Track(1, np.float64)
        self._ratio = Track(1, np.float64)
        self._latent = Track(LATENT_CHANNELS)
        self._decoder = DecoderTime(frame_samples)
        self._frame_samples = frame_samples
        self._seed = seed
        self._tenths = 0
        self._shown = 0
        self.formant_ratio = 1.0
        """How much higher the resonances of the frames to come are to lie; those glide there."""
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
        ratio = self._glide(len(heard.features))
        self._ratio.append(ratio[:, None])
        self._features.append(heard.features)
        # Played faster, the decoder has to sing lower.
        self._pitch_hz.append((heard.pitch_hz / ratio)[:, None])
        self._features_ahead.append(ahead.features)
        self._pitch_ahead_hz.append((ahead.pitch_hz / ratio)[:, None])

    def latent_feeds(self, rung: Rung, speaker: int) -> Feeds:
        """What the latent graph takes for the next hop, see `voice_graph.latent_inputs`."""
        first = self._latent.end + STEP_FRAMES + BEYOND_FRAMES
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
        """Write what the latent graph gave, [1, 192, hop + LATENT_AHEAD_FRAMES]: the hop, and what seems to follow."""
        rows, end = latent[0].T, self._pitch_ahead_hz.end
        self._latent.append(rows[:-LATENT_AHEAD_FRAMES])
        pitch_hz = self._pitch_ahead_hz.read(end - LATENT_AHEAD_FRAMES, end)
        seeming = Seeming(latent=rows[-LATENT_AHEAD_FRAMES:], pitch_hz=pitch_hz)
        self._decoder.extend(self._latent, self._pitch_hz, self._ratio, seeming)

    def decoder_feeds(self, rung: Rung, speaker: int) -> Feeds:
        """What the decoder graph takes for the next hop, see `voice_graph.decoder_inputs`."""
        window = self._decoder.window(rung.decoded, self.heard + rung.hop)
        self._shown = window.begin
        return {
            "latent": window.latent,
            "pitch_hz": window.pitch_hz,
            "phase": window.phase,
            "source_noise": self.source_noise(window.begin, window.begin + rung.decoded)[None, :, None],
            "speaker": np.array([speaker], np.int64),
        }

    def cut(self, audio: Array, rung: Rung) -> tuple[Array, Array]:
        """Take the hop out of the decoder's audio [1, n]; behind it, what the next hop will begin with as seen now."""
        played = self._decoder.play(audio[0], self._shown, self.heard, rung.hop + PROMISED_FRAMES)
        self.heard += rung.hop
        hop = rung.hop * self._frame_samples
        return played[:hop], played[hop:]

    def _glide(self, frames: int) -> NDArray[np.float64]:
        """The ratio of each of the next frames, [n], a tenth of a semitone from one to the next at most."""
        wanted = round(_TENTHS_AN_OCTAVE * np.log2(self.formant_ratio))
        steps = self._tenths + np.sign(wanted - self._tenths) * (np.arange(frames) + 1)
        steps = np.minimum(steps, wanted) if wanted > self._tenths else np.maximum(steps, wanted)
        self._tenths = int(steps[-1])
        return np.asarray(2.0 ** (steps / _TENTHS_AN_OCTAVE))

    def latent_noise(self, begin: int, end: int) -> Array:
        """Gaussian noise [192, end - begin], the same for a frame whenever it is asked for."""
        return _noise(self._seed, _LATENT_DRAW, LATENT_CHANNELS, begin, end).T

    def source_noise(self, begin: int, end: int) -> Array:
        """Gaussian noise [(end - begin) * frame samples], the same for a frame whenever it is asked for."""
        return _noise(self._seed, _SOURCE_DRAW, self._frame_samples, begin, end).reshape(-1)


def _seen(known: Track, ahead: Track, end: int) -> NDArray[Any]:
    """The `SEEN_FRAMES` before `end`, the last of them as they seemed when those before them were committed."""
    now = end - BEYOND_FRAMES
    seemed = ahead.read(now - LATENT_AHEAD_FRAMES, now)
    return np.concatenate([known.read(end - SEEN_FRAMES, now), seemed, seemed[-1:].repeat(HELD_FRAMES, axis=0)])


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

"""What a voice's streaming graphs take and give: the one agreement between the importer and the engine.

A graph is static. It turns a window of committed 10 ms frames into audio, and there is one for each hop of the ladder:

    |<- context: attention only ->|<- flow ->|<- decoded ------------------------>|
                                             |<- left edge ->|<- hop ->|<- ahead->|

Features, pitch, phase and both noises are inputs, each value made once for its absolute frame, so that two windows
agree where they overlap and the audio of a hop can be cut out hard (vc-rs, MIT, keeps time in the same way).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HOPS_MS = (40, 60, 80, 100, 120, 160, 200)
"""The ladder that the spec's rules for the chunk size move along."""

FRAME_MS = 10
AHEAD_FRAMES = 4
"""Frames after the hop: enough for the decoder; how much the latent gains from more is a matter of the weights."""
LEFT_FRAMES = 12
"""The decoder looks 93 ms (48 kHz, v2) to 118 ms (32 kHz, v1) to each side: beyond this its left edge is not heard."""
FLOW_FRAMES = 24
"""How far the flow looks."""
CONTEXT_FRAMES = 64
FORMANT_MAX_SEMITONES = 2
LATENT_CHANNELS = 192
OUTPUT = "audio"


@dataclass(frozen=True, slots=True)
class Rung:
    """The sizes of one graph, in frames of 10 ms that all end at the same instant."""

    hop_ms: int

    @property
    def hop(self) -> int:
        """Frames that are new in each run."""
        return self.hop_ms // FRAME_MS

    @property
    def decoded(self) -> int:
        """Frames that are turned into audio; enough for the hop at the highest formant, which stretches time."""
        stretched = (self.hop + AHEAD_FRAMES) * 2 ** (FORMANT_MAX_SEMITONES / 12)
        return LEFT_FRAMES + math.ceil(stretched)

    @property
    def flowed(self) -> int:
        """Frames that go through the flow, and need latent noise."""
        return FLOW_FRAMES + self.decoded

    @property
    def seen(self) -> int:
        """Frames of features and coarse pitch."""
        return CONTEXT_FRAMES + self.flowed


LADDER = tuple(Rung(hop_ms) for hop_ms in HOPS_MS)


@dataclass(frozen=True, slots=True)
class Port:
    """One input of a graph."""

    name: str
    dtype: str
    shape: tuple[int, ...]


def inputs(rung: Rung, *, feature_width: int, frame_samples: int) -> tuple[Port, ...]:
    """The inputs in order; the output is "audio" [1, decoded * frame_samples], float32 in [-1, 1].

    features: content, 20 ms frames doubled. coarse_pitch: `models.coarse_pitch`. latent_noise, source_noise: Gaussian,
    of variance 1. pitch_hz: 0 where unvoiced. phase: cycles in [0, 1) at the start of each decoded frame, the running
    sum of pitch_hz / 100. stretch: `stretch_matrix`. speaker: a row of the voice's table.
    """
    return (
        Port("features", "float32", (1, rung.seen, feature_width)),
        Port("coarse_pitch", "int64", (1, rung.seen)),
        Port("latent_noise", "float32", (1, LATENT_CHANNELS, rung.flowed)),
        Port("pitch_hz", "float32", (1, rung.decoded)),
        Port("phase", "float32", (1, rung.decoded)),
        Port("source_noise", "float32", (1, rung.decoded * frame_samples, 1)),
        Port("stretch", "float32", (rung.decoded, rung.decoded)),
        Port("speaker", "int64", (1,)),
    )


def stretch_matrix(rung: Rung, positions: NDArray[np.float64]) -> NDArray[np.float32]:
    """Weights [decoded, decoded] that read the latent at `positions` [decoded] (0 = first decoded frame), linearly.

    `arange(decoded)` leaves time alone. For a formant of s semitones, decoded frames lie 2 ** (-s / 12) apart, and the
    audio is resampled back by the same ratio (RVC-Project's way). Positions outside are held at the edges.
    """
    held = np.clip(positions, 0, rung.decoded - 1)
    rows = np.arange(rung.decoded)[:, None]
    return np.maximum(0.0, 1.0 - np.abs(held[None, :] - rows)).astype(np.float32)

"""What a voice's streaming graphs take and give: the one agreement between the importer and the engine.

There are two graphs, each for all hops of the ladder: one size of each is open, so that a voice's weights are loaded
once. The latent graph makes the latent of the hop's frames, once for all, two frames a window whatever the hop: windows
of every rung are the same, so the latent is too. Of the last window the latent ahead is given too, as it seems now.

    |<- context: attention only ->|<- flow ->|<- step ->|<- latent ahead ->|<- held ->|

The decoder graph turns latent that will not change any more, and what seems to follow it, into audio, of which the hop
is cut out hard:

    |<- left edge ->|<- hop ->|<- ahead ->|<- latent ahead ->|

Features, pitch, phase and both noises are inputs, each value made once for its absolute frame (vc-rs, MIT, keeps time
in the same way). Given the same features, audio of two hops correlates by more than 0.9995; with one graph for both,
whose latent changed with where the window ended, it was 0.98 to 0.99.

The decoder hears 50 ms of latent after the hop, of which 30 are waited for: what follows seems much like what it will
be (latent correlated by 0.95). With those 30 alone two hops correlate by 0.996, with 20 waited for and 20 seeming by
0.998 (docs/performance.md).
"""

import math
from dataclasses import dataclass

HOPS_MS = (40, 60, 80, 100, 120, 160, 200)
"""The ladder that the spec's rules for the chunk size move along."""

FRAME_MS = 10
STEP_FRAMES = 2
"""Frames whose latent is made in one window: 20 ms, the grid that all hops lie on."""
LATENT_AHEAD_FRAMES = 2
"""Frames of features after those whose latent is made, as they seem; and of latent, which the decoder is shown."""
HELD_FRAMES = 4
"""Frames after those that repeat the last one: what seems to follow is not at a network's edge, which sounds unlike."""
BEYOND_FRAMES = LATENT_AHEAD_FRAMES + HELD_FRAMES
AHEAD_FRAMES = 3
"""Frames of latent after the hop that are waited for."""
HEARD_AHEAD_FRAMES = AHEAD_FRAMES + LATENT_AHEAD_FRAMES
"""Frames of latent after the hop, for the decoder; with them all but 0.05 % of its right edge is cut off."""
LOOK_AHEAD_FRAMES = LATENT_AHEAD_FRAMES + AHEAD_FRAMES
"""Frames of features after the hop that is heard."""
LEFT_FRAMES = 12
"""The decoder looks 93 ms (48 kHz, v2) to 118 ms (32 kHz, v1) to each side: beyond this its left edge is not heard."""
FLOW_FRAMES = 24
"""How far the flow looks."""
CONTEXT_FRAMES = 64
FLOWED_FRAMES = FLOW_FRAMES + STEP_FRAMES + BEYOND_FRAMES
"""Frames of a latent window that go through the flow, and need latent noise."""
SEEN_FRAMES = CONTEXT_FRAMES + FLOWED_FRAMES
"""Frames of features and coarse pitch of a latent window."""
FORMANT_MAX_SEMITONES = 2
LATENT_CHANNELS = 192
LATENT, AUDIO = "latent", "audio"
"""The outputs."""
STEPS, FRAMES, SAMPLES = "steps", "frames", "samples"
"""The names of the open sizes."""
LATENT_OPEN = {"features": {0: STEPS}, "coarse_pitch": {0: STEPS}, "latent_noise": {0: STEPS}, LATENT: {2: "hop"}}
DECODER_OPEN = {
    "latent": {2: FRAMES},
    "pitch_hz": {1: FRAMES},
    "phase": {1: FRAMES},
    "source_noise": {1: SAMPLES},
    AUDIO: {1: SAMPLES},
}
"""Which axes of which input or output are open, and as what."""


@dataclass(frozen=True, slots=True)
class Rung:
    """The sizes of the two graphs at one hop, in frames of 10 ms."""

    hop_ms: int

    @property
    def hop(self) -> int:
        """Frames that are new in each run."""
        return self.hop_ms // FRAME_MS

    @property
    def decoded(self) -> int:
        """Frames that are turned into audio; enough for the hop at the highest formant, which stretches time."""
        stretched = (self.hop + HEARD_AHEAD_FRAMES) * 2 ** (FORMANT_MAX_SEMITONES / 12)
        return LEFT_FRAMES + math.ceil(stretched)

    @property
    def steps(self) -> int:
        """Latent windows in each run, 20 ms apart."""
        return self.hop // STEP_FRAMES


LADDER = tuple(Rung(hop_ms) for hop_ms in HOPS_MS)


@dataclass(frozen=True, slots=True)
class Port:
    """One input of a graph."""

    name: str
    dtype: str
    shape: tuple[int, ...]


def latent_inputs(rung: Rung, *, feature_width: int) -> tuple[Port, ...]:
    """The inputs in order; the output is "latent" [1, 192, hop + LATENT_AHEAD_FRAMES], float32.

    features: content, 20 ms frames doubled. coarse_pitch: `models.coarse_pitch`. latent_noise: Gaussian, of variance 1.
    speaker: a row of the voice's table. Row i holds the window that ends `STEP_FRAMES` after that of row i - 1.
    """
    return (
        Port("features", "float32", (rung.steps, SEEN_FRAMES, feature_width)),
        Port("coarse_pitch", "int64", (rung.steps, SEEN_FRAMES)),
        Port("latent_noise", "float32", (rung.steps, LATENT_CHANNELS, FLOWED_FRAMES)),
        Port("speaker", "int64", (1,)),
    )


def decoder_inputs(rung: Rung, *, frame_samples: int) -> tuple[Port, ...]:
    """The inputs in order; the output is "audio" [1, decoded * frame_samples], float32 in [-1, 1].

    latent: what the latent graph gave, for a formant in the time of `models.decoder_time`. pitch_hz: 0 where unvoiced.
    phase: cycles in [0, 1) at the start of each frame, the running sum of pitch_hz / 100. source_noise: Gaussian, of
    variance 1.
    """
    return (
        Port("latent", "float32", (1, LATENT_CHANNELS, rung.decoded)),
        Port("pitch_hz", "float32", (1, rung.decoded)),
        Port("phase", "float32", (1, rung.decoded)),
        Port("source_noise", "float32", (1, rung.decoded * frame_samples, 1)),
        Port("speaker", "int64", (1,)),
    )

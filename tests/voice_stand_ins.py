"""Networks of a few lines of numpy in the places of a voice's: what a frame gets depends on that frame's sound alone.

So a stream of them can be followed by eye: content is how loud a frame is, the pitch is 220 Hz throughout, and
the decoder plays a sine of that pitch and loudness. Used where the engine is tested and not the networks.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.model_spec import TensorSpec
from models.rmvpe_decode import BINS, CENTS_PER_BIN, FIRST_BIN_CENTS
from models.rvc_voice_engine import LoadedVoice
from models.voice_graph import BEYOND_FRAMES, HELD_FRAMES, LADDER, LATENT_CHANNELS, STEP_FRAMES
from models.voice_networks import CONTENT_FRAMES, CONTENT_V2, PITCH
from models.voice_pitch import RmvpePitch

WIDTH = 768
_MIXTURE = np.random.default_rng(1).standard_normal((400, WIDTH)).astype(np.float32)
Array = NDArray[Any]


class StandIn:
    """A `Graph` around a function of its inputs."""

    def __init__(self, answer: Callable[[Mapping[str, Array]], Array]) -> None:
        self.inputs: tuple[TensorSpec, ...] = ()
        self.outputs: tuple[TensorSpec, ...] = ()
        self.runs = 0
        self._answer = answer

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """One output."""
        self.runs += 1
        return (self._answer(feeds),)


def loudness(feeds: Mapping[str, Array]) -> Array:
    """Features [n, 50, WIDTH]: the first is the RMS of the frame's 25 ms, the others a fixed mixture of its samples.

    Only of the last four frames, to be quick: who read others would find zeros.
    """
    frames = np.lib.stride_tricks.sliding_window_view(feeds[CONTENT_V2.given], 400, axis=1)[:, ::320]
    features = np.zeros((len(frames), CONTENT_FRAMES, WIDTH), np.float32)
    assert frames.shape[1] == CONTENT_FRAMES
    last = frames[:, -4:]
    features[:, -4:] = np.tanh(last @ _MIXTURE)
    features[:, -4:, 0] = np.sqrt((last**2).mean(axis=2))
    return features


def one_pitch(feeds: Mapping[str, Array]) -> Array:
    """Salience [n, 96, 360]: sure of 220 Hz, in silence too."""
    count, *picture = feeds[PITCH.given].shape
    assert tuple(picture) == PITCH.given_shape[1:]
    salience = np.zeros((count, *PITCH.output_shape[1:]), np.float32)
    place = round((1200 * np.log2(220 / 10) - FIRST_BIN_CENTS) / CENTS_PER_BIN)
    assert 0 <= place < BINS
    salience[:, :, place] = 1
    return salience


def copied(feeds: Mapping[str, Array]) -> Array:
    """Latent [1, 192, hop and what seems to follow]: channel 0 is the loudness."""
    loud = feeds["features"][:, :, 0]
    steps = loud[:, -(STEP_FRAMES + BEYOND_FRAMES) : -BEYOND_FRAMES].reshape(-1)
    steps = np.concatenate([steps, loud[-1, -BEYOND_FRAMES:-HELD_FRAMES]])
    latent = np.zeros((1, LATENT_CHANNELS, len(steps)), np.float32)
    latent[0, 0] = steps
    return latent


def sine(feeds: Mapping[str, Array]) -> Array:
    """Audio [1, n]: a sine of the pitch, as loud as the latent says, the same from frame to frame."""
    frame = feeds["source_noise"].shape[1] // feeds["pitch_hz"].shape[1]
    time_s = np.arange(1, frame + 1) / frame / 100
    cycles = feeds["phase"][0, :, None] + feeds["pitch_hz"][0, :, None] * time_s
    audio: Array = feeds["latent"][0, 0, :, None] * np.sin(2 * np.pi * cycles)
    return audio.reshape(1, -1).astype(np.float32)


def voice(sample_rate_hz: int = 40_000) -> LoadedVoice:
    """All rungs of it."""
    latent, decoder = StandIn(copied), StandIn(sine)
    return LoadedVoice(
        content=StandIn(loudness),
        pitch=RmvpePitch(StandIn(one_pitch)),
        latent=dict.fromkeys(LADDER, latent),
        decoder=dict.fromkeys(LADDER, decoder),
        feature_width=WIDTH,
        sample_rate_hz=sample_rate_hz,
    )

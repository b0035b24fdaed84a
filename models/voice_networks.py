"""The networks that every imported voice needs: what is said (ContentVec) and at which pitch (RMVPE), as stored graphs.

`mirage-rtc voices prepare` makes them of the public checkpoints; the engine takes verified paths from here. A window is
a second of sound; a run takes as many windows as the hop has steps of 20 ms (`models.voice_listening`).
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from models.pinned_folders import PinnedFolders, read_record
from models.rmvpe_decode import BINS
from models.rmvpe_front import HOP, MELS, SAMPLE_RATE_HZ, Picture, log_mel
from models.voice_precision import HalfGraph
from models.voice_refusal import VoiceRefused

GRAPH_NAME = "graph.onnx"
HALF_NAME = "graph_half.onnx"
SOURCE_NAME = "source.json"
CONTENT_FRAMES = 50
CONTENT_SAMPLES = 400 + 320 * (CONTENT_FRAMES - 1)
"""Samples at 16 kHz that make so many frames of 20 ms: the first needs 400, each further one 320."""
WINDOWS = "windows"
PITCH_FRAMES = 96
"""Frames of 10 ms, a multiple of 32."""


@dataclass(frozen=True, slots=True)
class VoiceNetwork:
    """One graph: its name, its only input and its only output, float32, their shapes for one window of any number."""

    name: str
    given: str
    given_shape: tuple[int, ...]
    output: str
    output_shape: tuple[int, ...]

    @property
    def open_sizes(self) -> dict[str, dict[int, str]]:
        """Which axis of which tensor is open, and its name."""
        return {self.given: {0: WINDOWS}, self.output: {0: WINDOWS}}


CONTENT_V2 = VoiceNetwork("contentvec-768-l12", "wave", (1, CONTENT_SAMPLES), "features", (1, CONTENT_FRAMES, 768))
CONTENT_V1 = VoiceNetwork("contentvec-256-l9", "wave", (1, CONTENT_SAMPLES), "features", (1, CONTENT_FRAMES, 256))
PITCH = VoiceNetwork("rmvpe", "log_mel", (1, MELS, PITCH_FRAMES), "salience", (1, PITCH_FRAMES, BINS))
NETWORKS = (CONTENT_V2, CONTENT_V1, PITCH)


class NetworkSource(msgspec.Struct, frozen=True, kw_only=True):
    """What is on record of a network: the file it was made of, and how it bore half precision, if that was tried."""

    file: str
    sha256: str
    half: HalfGraph | None = None


class VoiceNetworkStore:
    """The prepared networks under `root`."""

    def __init__(self, root: Path) -> None:
        self.folders = PinnedFolders(root)

    def ready(self) -> tuple[str, ...]:
        """Names of what is there."""
        return self.folders.names()

    def graph(self, network: VoiceNetwork, *, half: bool = False) -> Path:
        """The verified graph, with `half` the one in half precision where it is stored.

        Raises `VoiceRefused` "voice_unknown" or "voice_damaged".
        """
        folder = self.folders.verified(network.name)
        return folder / (HALF_NAME if half and (folder / HALF_NAME).is_file() else GRAPH_NAME)

    def source(self, network: VoiceNetwork) -> NetworkSource:
        """What it was made of. Raises `VoiceRefused` "voice_unknown" or "voice_damaged"."""
        path = self.folders.folder(network.name) / SOURCE_NAME
        try:
            return msgspec.json.decode(read_record(path), type=NetworkSource)
        except (OSError, msgspec.DecodeError):
            sentence = f"{path} cannot be read: remove {path.parent} and prepare the network again."
            raise VoiceRefused("voice_damaged", sentence) from None


def write_source(folder: Path, source: NetworkSource) -> None:
    """Into a folder that is being added."""
    (folder / SOURCE_NAME).write_bytes(msgspec.json.encode(source))


def spoken_picture() -> Picture:
    """A window of log mel [1, 128, 96] as a voice makes it: a glide from 110 to 330 Hz, a pause, a hiss."""
    time_s = np.arange((PITCH_FRAMES - 1) * HOP) / SAMPLE_RATE_HZ
    pitch_hz = 110 * 3 ** (time_s / time_s[-1])
    turns = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    tone = sum(np.sin(order * turns) / order for order in range(1, 12))
    voiced = (time_s % 0.5) < 0.35
    hiss = np.random.default_rng(1).standard_normal(len(time_s))
    wave = 0.2 * tone * voiced + np.where(voiced, 0.002, 0.02) * hiss
    return log_mel(wave.astype(np.float32))[None]

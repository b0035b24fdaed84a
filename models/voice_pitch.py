"""The pitch of a stream of an imported voice: by RMVPE, by SwiftF0, or by our own tracker where neither is there.

All three answer alike: for each 20 ms of sound the two frames of 10 ms that lie `KEPT_MS` before its end, and what they
think of the two that follow. A pitch that was given out does not change, and does not depend on the hop. Which one runs
is chosen once (`choose_pitch`) and said in words. Called by `models.voice_listening`.

SwiftF0: Nieradzik 2025, arXiv 2508.18440; its wheel (MIT, `pip install swift-f0`) holds the network, of which we take
the file alone. Sizes and thresholds below are its own, release 0.3.
"""

import dataclasses
import importlib.util
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from models import pitch_track, rmvpe_decode
from models.gpu_loss import watched
from models.rmvpe_front import SAMPLE_RATE_HZ, MovingPicture
from models.runtime import Graph, NetworkError, OnnxGraph, Placement
from models.shared_graph import SharedGraph
from models.voice_networks import PITCH, PITCH_FRAMES, VoiceNetworkStore

STEP_SAMPLES = 320
"""20 ms at 16 kHz."""
KEPT_MS = (45, 35)
"""How long before the end of each step the two frames are centred whose pitch is kept."""
AHEAD_MS = (25, 15)

# RMVPE's picture ends 5 ms before the sound, and its frames are 10 ms apart.
_KEPT, _AHEAD = slice(-5, -3), slice(-3, -1)

SWIFT_PACKAGE = "swift_f0"
_SWIFT_HOP = 256
_SWIFT_WINDOW = 20 * _SWIFT_HOP
"""320 ms: the network looks 176 ms to each side, and what is kept is 45 ms old."""
_SWIFT_VOICED = 0.5
_SWIFT_SILENT_PEAK = 1e-3
"""Below it the network answers at random."""

_FLOOR_HZ, _CEIL_HZ = np.array(50.0, np.float32), np.array(1100.0, np.float32)
"""What RVC's voices can sing."""
_TRACK_WINDOW = SAMPLE_RATE_HZ * 120 // 1000
_MIRRORED = SAMPLE_RATE_HZ * 20 // 1000

Array = NDArray[np.float32]
Pitch = NDArray[np.float64]


class PitchStream(Protocol):
    """The pitch of one stream."""

    def hear(self, wave: Array) -> tuple[Pitch, Pitch]:
        """Of the next n steps of sound at 16 kHz, [320 n]: kept and ahead, [2 n] each, in Hz, 0 where unvoiced."""


class PitchTracker(Protocol):
    """A way to find a pitch; shared by streams, which take turns."""

    name: str

    def open(self) -> PitchStream:
        """A new stream's."""


class RmvpePitch:
    """RMVPE over the last second. Of a graph that takes one window at a time, windows are run one by one."""

    name = "RMVPE"

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._one_by_one = any(tensor.shape[:1] == (1,) for tensor in graph.inputs)
        self._given = graph.inputs[0].name if graph.inputs else PITCH.given

    def open(self) -> PitchStream:
        """A new stream's."""
        return _RmvpeStream(self)

    def salience(self, pictures: Array) -> Array:
        """[n, 128, 96] to [n, 96, 360]."""
        batches = np.split(pictures, len(pictures)) if self._one_by_one else [pictures]
        return np.concatenate([self.graph.run({self._given: batch})[0] for batch in batches])


class _RmvpeStream:
    def __init__(self, network: RmvpePitch) -> None:
        self._network = network
        self._picture = MovingPicture(PITCH_FRAMES)

    def hear(self, wave: Array) -> tuple[Pitch, Pitch]:
        salience = self._network.salience(self._picture.push(wave))
        kept, ahead = (salience[:, frames].reshape(-1, rmvpe_decode.BINS) for frames in (_KEPT, _AHEAD))
        return rmvpe_decode.pitch_hz(kept), rmvpe_decode.pitch_hz(ahead)


class SwiftPitch:
    """SwiftF0 over the last 320 ms, read between its frames of 16 ms."""

    name = "SwiftF0"

    def __init__(self, graph: Graph) -> None:
        """Raises `NetworkError` for the network of another release."""
        if {tensor.name for tensor in graph.inputs} != {"audio", "fmin", "fmax"}:
            raise NetworkError("it is of another release than 0.3: run `pip install 'swift-f0==0.3.*'`")
        self._graph = graph

    def open(self) -> PitchStream:
        """A new stream's."""
        return _SwiftStream(self)

    def at(self, window: Array, places: Pitch) -> Pitch:
        """Pitch in Hz at samples of a window [5120], 0 where unvoiced."""
        if float(np.abs(window).max()) < _SWIFT_SILENT_PEAK:
            return np.zeros(len(places))
        pitch, confidence = self._graph.run({"audio": window[None], "fmin": _FLOOR_HZ, "fmax": _CEIL_HZ})
        return _between(pitch[0].astype(np.float64), confidence[0] >= _SWIFT_VOICED, places / _SWIFT_HOP)


class _SwiftStream:
    def __init__(self, network: SwiftPitch) -> None:
        self._network = network
        self._wave = np.zeros(_SWIFT_WINDOW - STEP_SAMPLES, np.float32)
        self._places = _SWIFT_WINDOW - np.array(KEPT_MS + AHEAD_MS) * SAMPLE_RATE_HZ / 1000

    def hear(self, wave: Array) -> tuple[Pitch, Pitch]:
        sound = np.concatenate([self._wave, wave])
        self._wave = sound[len(wave) :]
        windows = sliding_window_view(sound, _SWIFT_WINDOW)[::STEP_SAMPLES]
        found = np.stack([self._network.at(window.copy(), self._places) for window in windows])
        return found[:, :2].reshape(-1), found[:, 2:].reshape(-1)


class TrackedPitch:
    """The tracker of the built-in voices, `models.pitch_track`: no network, and no pitch beyond 550 Hz."""

    name = "autocorrelation"

    def open(self) -> PitchStream:
        """A new stream's."""
        return _TrackedStream()


class _TrackedStream:
    def __init__(self) -> None:
        self._tracker = pitch_track.PitchTracker(SAMPLE_RATE_HZ)
        self._wave = np.zeros(_TRACK_WINDOW - STEP_SAMPLES, np.float32)
        self._centres = _TRACK_WINDOW - np.array(KEPT_MS + AHEAD_MS) * SAMPLE_RATE_HZ / 1000

    def hear(self, wave: Array) -> tuple[Pitch, Pitch]:
        sound = np.concatenate([self._wave, wave])
        self._wave = sound[len(wave) :]
        windows = sliding_window_view(sound, _TRACK_WINDOW)[::STEP_SAMPLES].astype(np.float64)
        mirrored = np.concatenate([windows, windows[:, -2 : -2 - _MIRRORED : -1]], axis=1)
        kept = np.concatenate([self._tracker.track(window, self._centres, len(KEPT_MS)) for window in mirrored])
        # The tracker gives out what it is sure of; what follows is taken to go on as it was.
        return kept, kept[1::2].repeat(len(AHEAD_MS))


def choose_pitch(networks: VoiceNetworkStore, placement: Placement, *, half: bool) -> tuple[PitchTracker, str]:
    """The best tracker there is, and why it is that one. Raises `VoiceRefused` or `NetworkError` for a broken RMVPE."""
    if PITCH.name in networks.ready():
        # A graph that came ready made computes sizes while it runs, which only a CPU does.
        foreign = networks.source(PITCH).file.endswith(".onnx")
        placement = dataclasses.replace(placement, allow_cpu_nodes=placement.allow_cpu_nodes or foreign)
        path = networks.graph(PITCH, half=half)
        graph = watched(placement, lambda: OnnxGraph(path, placement=placement))
        return RmvpePitch(SharedGraph(graph)), pitch_in_words(networks)
    swift = swift_path()
    if swift is None:
        return TrackedPitch(), pitch_in_words(networks)
    try:
        return SwiftPitch(SharedGraph(OnnxGraph(swift))), pitch_in_words(networks)
    except NetworkError as error:
        return TrackedPitch(), f"Pitch by autocorrelation: RMVPE is not prepared, and SwiftF0 is broken ({error})."


def pitch_in_words(networks: VoiceNetworkStore) -> str:
    """Which tracker a call would use, and why, for the log and `mirage-rtc voices list`."""
    if PITCH.name in networks.ready():
        return "Pitch by RMVPE."
    mended = "`mirage-rtc models fetch rmvpe.pt` and `mirage-rtc voices prepare` bring the better one"
    if swift_path() is not None:
        return f"Pitch by SwiftF0, since RMVPE is not prepared: {mended}."
    return f"Pitch by autocorrelation, since neither RMVPE is prepared nor swift-f0 installed: {mended}."


def swift_path() -> Path | None:
    """The network in the installed package, which is looked for and not imported."""
    found = importlib.util.find_spec(SWIFT_PACKAGE)
    places = [] if found is None else list(found.submodule_search_locations or ())
    files = [Path(place) / "model.onnx" for place in places]
    return next((file for file in files if file.is_file()), None)


def _between(pitch_hz: Pitch, voiced: NDArray[np.bool_], places: Pitch) -> Pitch:
    """Pitch at fractional frames: voiced as the nearest frame is, in a straight line on a logarithmic scale."""
    nearest = np.clip(np.rint(places).astype(np.intp), 0, len(pitch_hz) - 1)
    frames = np.flatnonzero(voiced)
    if not len(frames):
        return np.zeros(len(places))
    line = np.exp2(np.interp(places, frames, np.log2(pitch_hz[frames])))
    return np.where(voiced[nearest], line, 0.0)

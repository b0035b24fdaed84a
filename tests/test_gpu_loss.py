"""When a network's failure ends the process of a lane: a lost GPU, and never one voice's fault or a CPU's."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from models import runtime, rvc_voice_engine
from models.engines import VoiceSettings
from models.gpu_loss import FAILED_RUNS_TO_RESTART, watched
from models.model_spec import TensorSpec
from models.runtime import Array, Graph, NetworkError, Placement
from models.rvc_voice_engine import RvcVoiceEngine
from models.voice_pitch import TrackedPitch
from models.voice_rack import VoiceRack
from tests import imported_lane, voice_stand_ins
from tests.scripted_voices import EmbeddedVoices
from tests.test_voice_rack import loaded

GPU, CPU = Placement(provider="cuda", device=1), Placement()
FEEDS = {"x": np.ones(1, np.float32)}


class Network:
    """A graph whose runs fail while it is told to."""

    def __init__(self) -> None:
        self.inputs: tuple[TensorSpec, ...] = (TensorSpec(name="x", shape=(1,)),)
        self.outputs: tuple[TensorSpec, ...] = (TensorSpec(name="y", shape=(1,)),)
        self.fails = False

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """What it was given."""
        if self.fails:
            raise NetworkError("CUDA failure 700: an illegal memory access was encountered")
        return (feeds["x"],)


class Gpu:
    """Stands for the card: whether a network of one node runs on it, and how often that was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs = True
        self.asked: list[tuple[str, int]] = []
        monkeypatch.setattr(runtime, "still_runs", self._still_runs)

    def _still_runs(self, provider: str, device: int) -> bool:
        self.asked.append((provider, device))
        return self.runs


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """One that is well."""
    return Gpu(monkeypatch)


def test_a_lost_gpu_ends_the_process_at_the_first_failure(gpu: Gpu) -> None:
    """Every CUDA call of the process would fail from here on; the network's card is asked, when a run fails."""
    network = Network()
    graph = watched(GPU, lambda: network)
    assert (graph.inputs, graph.outputs) == (network.inputs, network.outputs)
    assert graph.run(FEEDS) == (FEEDS["x"],)
    assert gpu.asked == []
    network.fails, gpu.runs = True, False
    with pytest.raises(SystemExit, match="lost to this process: CUDA failure 700"):
        graph.run(FEEDS)
    assert gpu.asked == [("cuda", 1)]


def test_a_failure_on_a_gpu_that_runs_is_the_network_s(gpu: Gpu) -> None:
    """Raised as it was; only as many in a row as nothing in this process mends end it."""
    network = Network()
    graph = watched(GPU, lambda: network)
    for _ in range(2):  # a run that goes through begins the count anew
        network.fails = True
        for _ in range(FAILED_RUNS_TO_RESTART - 1):
            with pytest.raises(NetworkError):
                graph.run(FEEDS)
        network.fails = False
        graph.run(FEEDS)
    network.fails = True
    for _ in range(FAILED_RUNS_TO_RESTART - 1):
        with pytest.raises(NetworkError):
            graph.run(FEEDS)
    with pytest.raises(SystemExit, match=f"{FAILED_RUNS_TO_RESTART} times in a row"):
        graph.run(FEEDS)


def test_a_network_that_cannot_be_opened_ends_the_process_only_where_the_gpu_is_lost(gpu: Gpu) -> None:
    """A damaged file is one voice's matter, however often it is tried."""

    def damaged() -> Graph:
        raise NetworkError("voice.onnx is no network")

    for _ in range(FAILED_RUNS_TO_RESTART + 1):
        with pytest.raises(NetworkError, match="no network"):
            watched(GPU, damaged)
    gpu.runs = False
    with pytest.raises(SystemExit):
        watched(GPU, damaged)


def test_a_cpu_is_never_lost(gpu: Gpu) -> None:
    """Its networks are given as they are."""
    network = Network()
    assert watched(CPU, lambda: network) is network
    assert gpu.asked == []


def test_a_voice_s_networks_are_watched_in_hops_and_while_it_is_loaded(
    gpu: Gpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the threads that load come upon reaches whoever asks whether the voice is ready: the lane's own thread."""
    made, lost = voice_stand_ins.voice(), [False]
    rung = next(iter(made.latent))
    parts: dict[str, Graph] = {"latent.onnx": made.latent[rung], "decoder.onnx": made.decoder[rung]}

    class Part(Network):
        def __init__(self, inner: Graph) -> None:
            super().__init__()
            self._inner = inner

        def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
            self.fails = lost[0]
            super().run({"x": FEEDS["x"]})
            return self._inner.run(feeds)

    def opened(path: Path, **_: object) -> Graph:
        return Part(parts.get(path.name, made.content))

    monkeypatch.setattr(rvc_voice_engine, "OnnxGraph", opened)
    monkeypatch.setattr(rvc_voice_engine, "choose_pitch", lambda *_, **__: (TrackedPitch(), ""))
    voices = imported_lane.store(tmp_path, "grace")
    engine = RvcVoiceEngine(voices.store, voices.networks, placement=GPU)
    stream = engine.open(sample_rate_hz=48_000, hop_ms=40, settings=VoiceSettings(preset="grace"))
    assert len(stream.convert(np.zeros(1920, np.float32))) == 1920
    lost[0], gpu.runs = True, False
    with pytest.raises(SystemExit):
        stream.convert(np.zeros(1920, np.float32))
    with pytest.raises(SystemExit):
        loaded(VoiceRack(EmbeddedVoices(), engine), VoiceSettings(preset="rvc:grace"))

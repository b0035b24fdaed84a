"""Three ways to find a pitch, all at the same moments: on the grid, before the end, whatever the hop."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models import voice_pitch
from models.model_spec import TensorSpec
from models.rmvpe_front import SAMPLE_RATE_HZ
from models.runtime import Array, NetworkError, Placement
from models.voice_networks import GRAPH_NAME, PITCH, NetworkSource, VoiceNetworkStore, write_source
from models.voice_pitch import (
    KEPT_MS,
    STEP_SAMPLES,
    PitchTracker,
    RmvpePitch,
    SwiftPitch,
    TrackedPitch,
    choose_pitch,
    pitch_in_words,
    swift_path,
)
from models.voice_refusal import VoiceRefused
from tests import onnx_writer, speech
from tests.test_voice_listening import lit
from tests.voice_stand_ins import StandIn

HOP_SAMPLES = 256


class Swift:
    """In SwiftF0's place: its inputs and outputs; hears a tone by its zero crossings around each 16 ms."""

    inputs = tuple(TensorSpec(name=name, shape=()) for name in ("audio", "fmin", "fmax"))
    outputs: tuple[TensorSpec, ...] = ()

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """Pitch float64 [1, frames] and confidence [1, frames]; 1000 Hz where it is not sure."""
        wave = np.pad(feeds["audio"][0], HOP_SAMPLES)
        frames = np.stack([wave[first : first + 2 * HOP_SAMPLES] for first in range(0, len(wave) - 512, HOP_SAMPLES)])
        turns = [np.flatnonzero((one[:-1] < 0) & (one[1:] >= 0)) for one in frames]
        exact = [
            [at - one[at] / (one[at + 1] - one[at]) for at in places] for one, places in zip(frames, turns, strict=True)
        ]
        sure = np.array([len(places) > 2 for places in exact])
        rates = [SAMPLE_RATE_HZ * (len(at) - 1) / (at[-1] - at[0]) if len(at) > 2 else 1000.0 for at in exact]
        return np.array([rates]), sure[None].astype(np.float32)


TRACKERS: list[PitchTracker] = [SwiftPitch(Swift()), TrackedPitch(), RmvpePitch(StandIn(lit))]
FOUND = TRACKERS[:2]


def heard(tracker: PitchTracker, sound: NDArray[np.float32], steps: list[int]) -> NDArray[np.float64]:
    """What is kept of it, so many steps at a time, over and over."""
    stream, parts, first = tracker.open(), [], 0
    for number in range(len(sound)):
        count = steps[number % len(steps)] * STEP_SAMPLES
        if first + count > len(sound):
            break
        parts.append(stream.hear(sound[first : first + count])[0])
        assert len(parts[-1]) == 2 * steps[number % len(steps)]
        first += count
    return np.concatenate(parts)


def centres_s(count: int) -> NDArray[np.float64]:
    """When the kept frames are centred, by their number: two a step, before its end."""
    return np.arange(1, count // 2 + 1).repeat(2) * 0.02 - np.tile(KEPT_MS, count // 2) / 1000


def glide(seconds: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """A sawtooth of a few harmonics between silences, from 120 to 240 Hz, and its pitch at every sample."""
    time_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pitch_hz = 120 * 2 ** (time_s / seconds)
    turns = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    loud = (time_s > 0.4) & (time_s < seconds - 0.4)
    wave = loud * sum(np.sin(order * turns) / order**2 for order in (1, 2, 3)) / 3
    return wave.astype(np.float32), np.where(loud, pitch_hz, 0)


@pytest.mark.parametrize("tracker", TRACKERS, ids=lambda one: one.name)
@pytest.mark.parametrize("steps", [[2], [10], [2, 5, 8, 4, 6, 3]])
def test_the_hop_decides_nothing(tracker: PitchTracker, steps: list[int]) -> None:
    """The same pitches as with hops of 20 ms."""
    sound = speech.speech(1.6, SAMPLE_RATE_HZ)
    one, other = heard(tracker, sound, [1]), heard(tracker, sound, steps)
    np.testing.assert_array_equal(other, one[: len(other)])
    assert len(np.unique(one)) > 10


@pytest.mark.parametrize("tracker", FOUND, ids=lambda one: one.name)
def test_a_glide_is_followed_at_the_moments_that_are_declared(tracker: PitchTracker) -> None:
    """Within 20 cents at the centre of each frame; a frame of 10 ms of the glide is 6 cents."""
    sound, pitch_hz = glide(2.0)
    found = heard(tracker, sound, [2])
    at = centres_s(len(found))
    inside = (at > 0.45) & (at < 1.55)
    truth = pitch_hz[np.rint(at[inside] * SAMPLE_RATE_HZ).astype(int)]
    assert (found[inside] > 0).all()
    assert np.abs(1200 * np.log2(found[inside] / truth)).max() < 20
    bias = np.median(1200 * np.log2(found[inside] / truth))
    assert abs(bias) < 6


@pytest.mark.parametrize("tracker", FOUND, ids=lambda one: one.name)
def test_silence_has_no_pitch(tracker: PitchTracker) -> None:
    """Before, between and after; and none of it is nonsense."""
    sound, _ = glide(2.0)
    found = heard(tracker, sound, [2])
    at = centres_s(len(found))
    assert not found[(at < 0.35) | (at > 1.65)].any()
    assert not heard(tracker, np.zeros(16_000, np.float32), [2]).any()


@pytest.mark.parametrize("tracker", FOUND, ids=lambda one: one.name)
def test_what_is_ahead_is_near_what_is_kept_then(tracker: PitchTracker) -> None:
    """Two more frames, 20 ms on."""
    sound, _ = glide(1.6)
    stream = tracker.open()
    pairs = [stream.hear(sound[first : first + 640]) for first in range(0, 12_800, 640)]
    kept, ahead = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    assert kept.shape == ahead.shape
    both = (kept > 0) & (ahead > 0)
    assert both.sum() > 30
    assert np.abs(1200 * np.log2(ahead[both] / kept[both])).max() < 60


def test_windows_of_a_graph_that_takes_one_are_run_one_by_one() -> None:
    """As a public rmvpe.onnx may be made; the pitch is the same."""
    single = StandIn(lit)
    single.inputs = (TensorSpec(name=PITCH.given, shape=PITCH.given_shape),)
    sound = speech.speech(1.0, SAMPLE_RATE_HZ)
    together = heard(RmvpePitch(StandIn(lit)), sound, [5])
    np.testing.assert_array_equal(heard(RmvpePitch(single), sound, [5]), together)
    assert single.runs == 50


def install_swift(folder: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of that name on the path, which fails if anybody imports it."""
    package = folder / "swift_f0"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "model.onnx").write_bytes(content)
    monkeypatch.syspath_prepend(str(folder))
    return package / "model.onnx"


def swift_like(names: tuple[str, ...]) -> bytes:
    """A small graph with these inputs."""
    writer = onnx_writer.GraphWriter()
    given = [writer.input(name, (1, 8)) for name in names]
    writer.node("Identity", given[:1], "pitch")
    writer.output("pitch", (1, 8))
    return writer.model()


def test_without_anything_prepared_the_words_say_what_is_better(tmp_path: Path) -> None:
    """And our own tracker runs."""
    networks = VoiceNetworkStore(tmp_path)
    tracker, why = choose_pitch(networks, Placement(), half=False)
    assert tracker.name == "autocorrelation"
    assert swift_path() is None
    assert why == pitch_in_words(networks)
    assert "voices prepare" in why


def test_an_installed_swift_f0_is_used_and_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its network is taken, its code is not run."""
    networks = VoiceNetworkStore(tmp_path / "networks")
    path = install_swift(tmp_path, swift_like(("audio", "fmin", "fmax")), monkeypatch)
    tracker, why = choose_pitch(networks, Placement(), half=False)
    assert swift_path() == path
    assert tracker.name == "SwiftF0"
    assert why == pitch_in_words(networks)


@pytest.mark.parametrize("content", [b"no graph", swift_like(("input_audio",))], ids=["broken", "other release"])
def test_a_swift_f0_that_cannot_be_used_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """The call goes on with our own."""
    install_swift(tmp_path, content, monkeypatch)
    tracker, why = choose_pitch(VoiceNetworkStore(tmp_path / "networks"), Placement(), half=False)
    assert tracker.name == "autocorrelation"
    assert "SwiftF0 is broken" in why


def test_rmvpe_is_taken_where_it_is_prepared_and_refused_where_it_is_broken(tmp_path: Path) -> None:
    """A changed file is no reason to track with something else in silence."""
    networks = VoiceNetworkStore(tmp_path)
    writer = onnx_writer.GraphWriter()
    writer.node("Identity", [writer.input(PITCH.given, PITCH.given_shape)], PITCH.output)
    writer.output(PITCH.output, PITCH.given_shape)
    with networks.folders.adding(PITCH.name) as folder:
        (folder / GRAPH_NAME).write_bytes(writer.model())
        write_source(folder, NetworkSource(file="rmvpe.pt", sha256="ab"))
    tracker, why = choose_pitch(networks, Placement(), half=False)
    assert (tracker.name, why) == ("RMVPE", "Pitch by RMVPE.")
    networks.graph(PITCH).write_bytes(b"changed")
    with pytest.raises((VoiceRefused, NetworkError)):
        choose_pitch(networks, Placement(), half=False)


@pytest.mark.parametrize(("file", "allowed"), [("rmvpe.pt", False), ("rmvpe.onnx", True)])
def test_only_a_ready_made_graph_may_leave_nodes_to_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, allowed: bool
) -> None:
    """It computes sizes while it runs; ours do not, and a node of theirs that left the GPU would be a fault."""
    opened: list[Placement] = []

    def graph(path: Path, *, placement: Placement) -> StandIn:
        opened.append(placement)
        return StandIn(lit)

    monkeypatch.setattr(voice_pitch, "OnnxGraph", graph)
    networks = VoiceNetworkStore(tmp_path)
    with networks.folders.adding(PITCH.name) as folder:
        (folder / GRAPH_NAME).write_bytes(b"graph")
        write_source(folder, NetworkSource(file=file, sha256="ab"))
    choose_pitch(networks, Placement(provider="cuda"), half=True)
    assert opened == [Placement(provider="cuda", allow_cpu_nodes=allowed)]

"""The voice network as a stream computes it: windows that agree, cuts that do not jump, inputs that carry time on."""

from functools import cache

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from models.convert import weights
from models.convert.rvc_checkpoint import norm_axis
from models.convert.rvc_network import RvcNetwork
from models.convert.streaming_graph import StreamingGraph, ports, probe
from models.voice_graph import AHEAD_FRAMES, LADDER, LATENT_CHANNELS, LEFT_FRAMES, Rung, stretch_matrix
from tests import golden, voice_checkpoints

SHAPE = voice_checkpoints.shape(40000, "v2")
START = 130  # every window begins after the start of the timeline
HOPPED = 24  # frames, a multiple of every hop below
FRAMES = START + HOPPED + 30  # a multiple of 8


@cache
def network() -> RvcNetwork:
    """The recorded fixture's weights where present, since they keep the signal lively; else random ones."""
    with torch.device("meta"):
        made = RvcNetwork(voice_checkpoints.shape(40000, "v2", speakers=109 if golden.ROOT.is_dir() else 3))
    recorded = golden.ROOT.is_dir()
    tensors = (
        {name: torch.from_numpy(value) for name, value in golden.weights("rvc_v2_40k").items()}
        if recorded
        else voice_checkpoints.random_weights(made, norm_axis)
    )
    weights.load("voice.pth", made, tensors, norm_axis)
    return made


@cache
def timeline() -> dict[str, torch.Tensor]:
    """Committed once for every absolute frame: features, pitch, phase and both noises."""
    random = torch.Generator().manual_seed(7)
    pitch_hz = 140 * 2 ** (0.4 * torch.sin(torch.arange(FRAMES) / 17))
    pitch_hz[START + 10 : START + 18] = 0
    step = pitch_hz.double() / 100
    features = torch.randn(1, FRAMES // 2, SHAPE.feature_width, generator=random).repeat_interleave(2, 1)
    return {
        "features": features,
        "coarse_pitch": torch.randint(60, 120, (1, FRAMES // 8), generator=random).repeat_interleave(8, 1)[:, :FRAMES],
        "latent_noise": torch.randn(1, LATENT_CHANNELS, FRAMES, generator=random),
        "pitch_hz": pitch_hz.float()[None],
        "phase": ((torch.cumsum(step, 0) - step) % 1).float()[None],
        "source_noise": torch.randn(1, FRAMES * SHAPE.hop, 1, generator=random),
    }


def window(rung: Rung, end: int) -> dict[str, torch.Tensor]:
    """What a graph takes for the window that ends before the absolute frame `end`."""
    line, hop = timeline(), SHAPE.hop
    return {
        "features": line["features"][:, end - rung.seen : end],
        "coarse_pitch": line["coarse_pitch"][:, end - rung.seen : end],
        "latent_noise": line["latent_noise"][:, :, end - rung.flowed : end],
        "pitch_hz": line["pitch_hz"][:, end - rung.decoded : end],
        "phase": line["phase"][:, end - rung.decoded : end],
        "source_noise": line["source_noise"][:, (end - rung.decoded) * hop : end * hop],
        "stretch": torch.eye(rung.decoded),
        "speaker": torch.tensor([0]),
    }


@cache
def streamed(rung: Rung) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The frames from START on, hop by hop, cut hard: no cross-fade."""
    graph, hop, pieces = StreamingGraph(network(), rung).eval(), SHAPE.hop, []
    with torch.inference_mode():
        for first in range(START, START + HOPPED, rung.hop):
            audio = graph(**window(rung, first + rung.hop + AHEAD_FRAMES))[0]
            pieces.append(audio[-(rung.hop + AHEAD_FRAMES) * hop :][: rung.hop * hop])
    return np.asarray(torch.cat(pieces).numpy())


def correlation(one: np.ndarray[tuple[int], np.dtype[np.float32]], other: object) -> float:
    """Of two signals, without their means."""
    return float(np.corrcoef(one, np.asarray(other))[0, 1])


@pytest.mark.parametrize("hop_ms", [80, 120])
def test_the_hop_hardly_changes_the_audio(hop_ms: int) -> None:
    """Given the same committed frames. What differs is the latent: its window ends elsewhere, and attention is wide.

    Weights of noise attend to everything: the worst case. The recorded ones gave 0.991 to 0.993, random ones 0.981 on.
    """
    one, other = streamed(Rung(40)), streamed(Rung(hop_ms))
    assert one.shape == other.shape == (HOPPED * SHAPE.hop,)
    assert correlation(one, other) >= 0.975


def test_given_the_same_latent_four_frames_ahead_are_enough() -> None:
    """The decoder alone: a window with the edges of a rung gives the audio of the whole, correlated by 0.9995."""
    line, first, hop = timeline(), START + 16, SHAPE.hop
    begin, end = first - LEFT_FRAMES, first + 4 + AHEAD_FRAMES
    with torch.inference_mode():
        speaker = network().speaker(torch.tensor([0]))
        features, pitch = line["features"][:, -80:], line["coarse_pitch"][:, -80:]
        latent = network().latent(features, pitch, line["latent_noise"][:, :, -80:], speaker)
        excitation = network().dec.m_source(line["pitch_hz"], line["phase"], line["source_noise"])
        whole = network().dec(latent, excitation[:, :, -80 * hop :], speaker).flatten()
        part = latent[:, :, begin - FRAMES : end - FRAMES]
        cut = network().dec(part, excitation[:, :, begin * hop : end * hop], speaker).flatten()
    wanted = whole[(first - FRAMES) * hop : (first + 4 - FRAMES) * hop]
    assert correlation(cut[LEFT_FRAMES * hop : (LEFT_FRAMES + 4) * hop].numpy(), wanted) >= 0.9995


def test_a_cut_is_no_jump() -> None:
    """The step over a boundary of hops is as large as steps elsewhere: ratio 0.8 to 1.5, second differences."""
    audio, hop = streamed(Rung(40)).astype(np.float64), Rung(40).hop * SHAPE.hop
    jumps = np.abs(np.diff(audio, 2))
    at_cuts = np.concatenate([jumps[cut - 2 : cut + 1] for cut in range(hop, len(audio), hop)])
    assert 0.8 <= float(np.sqrt((at_cuts**2).mean() / (jumps**2).mean())) <= 1.5


def test_without_the_carried_phase_and_noise_the_windows_disagree() -> None:
    """What the inputs are for: with others, the overlap of two windows is another sound."""
    rung, hop = Rung(40), SHAPE.hop
    graph = StreamingGraph(network(), rung).eval()
    end = START + 24
    other = window(rung, end) | {"phase": torch.zeros(1, rung.decoded)}
    other["latent_noise"] = torch.randn(1, LATENT_CHANNELS, rung.flowed, generator=torch.Generator().manual_seed(99))
    with torch.inference_mode():
        one, fresh = graph(**window(rung, end))[0], graph(**other)[0]
    kept = slice(-8 * hop, -4 * hop)
    assert correlation(one[kept].numpy(), fresh[kept].numpy()) < 0.99


def test_a_stretched_latent_is_interpolated_in_time() -> None:
    """As torch's own linear interpolation, positions given from outside."""
    rung = Rung(40)
    latent = torch.randn(1, 5, rung.decoded, generator=torch.Generator().manual_seed(1))
    positions = np.linspace(0, rung.decoded - 1, rung.decoded) * 0.9
    read = torch.matmul(latent, torch.from_numpy(stretch_matrix(rung, positions)))
    wanted = [np.interp(positions, np.arange(rung.decoded), row) for row in latent[0].numpy()]
    np.testing.assert_allclose(read[0].numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("rung", LADDER)
def test_the_probe_fits_the_ports_and_uses_all_of_them(rung: Rung) -> None:
    """Sizes and kinds as agreed; pitch with a gap, the last speaker."""
    made = probe(SHAPE, rung)
    for port in ports(SHAPE, rung):
        assert (tuple(made[port.name].shape), str(made[port.name].dtype)) == (port.shape, f"torch.{port.dtype}")
    assert 0 < int((made["pitch_hz"] == 0).sum()) < rung.decoded
    assert int(made["speaker"]) == SHAPE.speakers - 1

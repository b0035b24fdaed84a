"""The voice network as a stream computes it: windows that agree, cuts that do not jump, inputs that carry time on."""

from functools import cache

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from models.convert import weights
from models.convert.rvc_checkpoint import norm_axis
from models.convert.rvc_network import RvcNetwork
from models.convert.streaming_graph import DecoderGraph, LatentGraph, decoder_probe, latent_probe
from models.voice_graph import (
    BEYOND_FRAMES,
    FLOWED_FRAMES,
    HEARD_AHEAD_FRAMES,
    HELD_FRAMES,
    LADDER,
    LATENT_AHEAD_FRAMES,
    LATENT_CHANNELS,
    LEFT_FRAMES,
    SEEN_FRAMES,
    STEP_FRAMES,
    Rung,
    decoder_inputs,
    latent_inputs,
)
from tests import golden, voice_checkpoints

SHAPE = voice_checkpoints.shape(40000, "v2")
START = 130  # every window begins after the start of the timeline
HOPPED = 24  # frames, a multiple of every hop below
BEFORE = 24  # frames of latent for the first window of the decoder, a multiple too
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
    blurred = torch.randn(1, FRAMES // 2, SHAPE.feature_width, generator=random).repeat_interleave(2, 1)
    return {
        "features": features,
        "features_ahead": 0.95 * features + 0.31 * blurred,
        "coarse_pitch": torch.randint(60, 120, (1, FRAMES // 8), generator=random).repeat_interleave(8, 1)[:, :FRAMES],
        "latent_noise": torch.randn(1, LATENT_CHANNELS, FRAMES, generator=random),
        "pitch_hz": pitch_hz.float()[None],
        "phase": ((torch.cumsum(step, 0) - step) % 1).float()[None],
        "source_noise": torch.randn(1, FRAMES * SHAPE.hop, 1, generator=random),
    }


def latent_windows(rung: Rung, first: int) -> dict[str, torch.Tensor]:
    """What the latent graph takes for the hop that begins at the absolute frame `first`.

    What seems to follow is like what will, as far as the last frame of a content encoder is.
    """
    line = timeline()
    ends = [first + (1 + row) * STEP_FRAMES + BEYOND_FRAMES for row in range(rung.steps)]
    return {
        "features": torch.cat([held(line["features"], line["features_ahead"], end) for end in ends]),
        "coarse_pitch": torch.cat([held(line["coarse_pitch"], line["coarse_pitch"], end) for end in ends]),
        "latent_noise": torch.cat([line["latent_noise"][:, :, end - FLOWED_FRAMES : end] for end in ends]),
        "speaker": torch.tensor([0]),
    }


def held(line: torch.Tensor, ahead: torch.Tensor, end: int) -> torch.Tensor:
    """The window of a line that ends before `end`: known, then as it seems, then that held."""
    now = end - BEYOND_FRAMES
    seemed = ahead[:, now : now + LATENT_AHEAD_FRAMES]
    return torch.cat([line[:, end - SEEN_FRAMES : now], seemed, *[seemed[:, -1:]] * HELD_FRAMES], dim=1)


@cache
def latent(rung: Rung) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    """The latent by absolute frame, from START - BEFORE on, made hop by hop; by a hop's end what seemed to follow."""
    graph, made, seeming = LatentGraph(network()).eval(), torch.zeros(1, LATENT_CHANNELS, FRAMES), {}
    with torch.inference_mode():
        for first in range(START - BEFORE, START + HOPPED, rung.hop):
            given = graph(**latent_windows(rung, first))
            made[:, :, first : first + rung.hop] = given[:, :, :-LATENT_AHEAD_FRAMES]
            seeming[first + rung.hop] = given[:, :, -LATENT_AHEAD_FRAMES:]
    return made, seeming


def decoder_window(rung: Rung, end: int) -> dict[str, torch.Tensor]:
    """What the decoder graph takes for the window that ends before the absolute frame `end`, the last as they seem."""
    line, hop = timeline(), SHAPE.hop
    known, (made, seeming) = end - LATENT_AHEAD_FRAMES, latent(rung)
    return {
        "latent": torch.cat([made[:, :, end - rung.decoded : known], seeming[known]], dim=2),
        "pitch_hz": line["pitch_hz"][:, end - rung.decoded : end],
        "phase": line["phase"][:, end - rung.decoded : end],
        "source_noise": line["source_noise"][:, (end - rung.decoded) * hop : end * hop],
        "speaker": torch.tensor([0]),
    }


@cache
def streamed(rung: Rung) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The frames from START - AHEAD_FRAMES on, hop by hop, cut hard: no cross-fade."""
    graph, hop, pieces = DecoderGraph(network()).eval(), SHAPE.hop, []
    with torch.inference_mode():
        for end in range(START + rung.hop, START + HOPPED + 1, rung.hop):
            audio = graph(**decoder_window(rung, end + LATENT_AHEAD_FRAMES))[0]
            pieces.append(audio[-(rung.hop + HEARD_AHEAD_FRAMES) * hop :][: rung.hop * hop])
    return np.asarray(torch.cat(pieces).numpy())


def correlation(one: np.ndarray[tuple[int], np.dtype[np.float32]], other: object) -> float:
    """Of two signals, without their means."""
    return float(np.corrcoef(one, np.asarray(other))[0, 1])


@pytest.mark.parametrize("hop_ms", [60, 80, 120])
def test_the_hop_does_not_change_the_audio(hop_ms: int) -> None:
    """Given the same committed frames, it correlates by 0.999 and more with that of 40 ms; no cross-fade."""
    one, other = streamed(Rung(40)), streamed(Rung(hop_ms))
    assert one.shape == other.shape == (HOPPED * SHAPE.hop,)
    assert correlation(one, other) >= 0.999


def test_the_latent_of_a_frame_is_the_same_at_every_hop() -> None:
    """Its window begins and ends at the same frames: what is left is how sums are ordered."""
    frames = slice(START - BEFORE, START + HOPPED)
    one, other = latent(Rung(40))[0][:, :, frames], latent(Rung(120))[0][:, :, frames]
    assert float(one.std()) > 0.1
    torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_given_the_same_latent_five_frames_ahead_are_enough() -> None:
    """The decoder alone: a window with the edges of a rung gives the audio of the whole, correlated by 0.9995."""
    line, first, hop = timeline(), START + 16, SHAPE.hop
    begin, end = first - LEFT_FRAMES, first + 4 + HEARD_AHEAD_FRAMES
    with torch.inference_mode():
        speaker = network().speaker(torch.tensor([0]))
        features, pitch = line["features"][:, -80:], line["coarse_pitch"][:, -80:]
        made = network().latent(features, pitch, line["latent_noise"][:, :, -80:], speaker)
        excitation = network().dec.m_source(line["pitch_hz"], line["phase"], line["source_noise"])
        whole = network().dec(made, excitation[:, :, -80 * hop :], speaker).flatten()
        part = made[:, :, begin - FRAMES : end - FRAMES]
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
    rung, source = Rung(40), network().dec.m_source
    given, windows = decoder_window(rung, START + 10), latent_windows(rung, START)
    carried_latent = torch.cat([latent(rung)[0][:, :, START : START + 4], latent(rung)[1][START + 4]], dim=2)
    drawn = torch.randn(windows["latent_noise"].shape, generator=torch.Generator().manual_seed(99))
    with torch.inference_mode():
        carried = source(given["pitch_hz"], given["phase"], given["source_noise"])
        restarted = source(given["pitch_hz"], torch.zeros(1, rung.decoded), given["source_noise"])
        fresh = LatentGraph(network()).eval()(**(windows | {"latent_noise": drawn}))
    assert correlation(carried.flatten().numpy(), restarted.flatten()) < 0.9
    assert correlation(fresh.flatten().numpy(), carried_latent.flatten()) < 0.99


@pytest.mark.parametrize("rung", LADDER)
def test_the_probes_fit_the_ports_and_use_all_of_them(rung: Rung) -> None:
    """Order, sizes and kinds as agreed; pitch with a gap, the last speaker."""
    latent_given, decoder_given = latent_probe(SHAPE, rung), decoder_probe(SHAPE, rung)
    latent_ports = latent_inputs(rung, feature_width=SHAPE.feature_width)
    pairs = ((latent_given, latent_ports), (decoder_given, decoder_inputs(rung, frame_samples=SHAPE.hop)))
    for made, ports in pairs:
        assert list(made) == [port.name for port in ports]
        for port in ports:
            assert (tuple(made[port.name].shape), str(made[port.name].dtype)) == (port.shape, f"torch.{port.dtype}")
        assert int(made["speaker"]) == SHAPE.speakers - 1
    assert 0 < int((decoder_given["pitch_hz"] == 0).sum()) < rung.decoded

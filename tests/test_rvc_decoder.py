"""The decoder: its excitation to the letter of its definition, its length, and how far it looks."""

import math

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from models.convert.rvc_checkpoint import UPSAMPLING
from models.convert.rvc_decoder import Decoder, Source
from models.voice_graph import LEFT_FRAMES

HOP = 400
RATE_HZ = 40000


def source() -> Source:
    """With a linear layer that passes the excitation on, before its tanh."""
    made = Source(HOP, RATE_HZ)
    made.requires_grad_(False)
    made.l_linear.weight.fill_(1.0)
    made.l_linear.bias.fill_(0.0)
    return made


def decoder(sample_rate_hz: int = RATE_HZ, version: str = "v2") -> Decoder:
    """RVC's, an eighth as wide, random."""
    torch.manual_seed(1)
    rates, kernels = UPSAMPLING[(sample_rate_hz, version)]
    made = Decoder(
        channels=8,
        initial=64,
        rates=rates,
        kernels=kernels,
        block_kernels=(3, 7, 11),
        block_dilations=((1, 3, 5),) * 3,
        speaker_channels=4,
        sample_rate_hz=sample_rate_hz,
    )
    made.requires_grad_(False)
    return made


def test_a_voiced_frame_is_a_sine_and_an_unvoiced_one_noise() -> None:
    """Sample by sample: level 0.1 and noise 0.003, or noise 0.1 / 3; the first sample has one step already."""
    pitch = torch.tensor([[200.0, 0.0, 300.0]])
    phase = torch.tensor([[0.25, 0.0, 0.5]])
    noise = torch.randn(1, 3 * HOP, 1, generator=torch.Generator().manual_seed(1))
    out = torch.atanh(source()(pitch, phase, noise)).numpy().reshape(3, HOP)
    steps, given = np.arange(1, HOP + 1) / RATE_HZ, noise.numpy().reshape(3, HOP)
    for frame, (pitch_hz, start) in enumerate(((200.0, 0.25), (300.0, 0.5))):
        sine = 0.1 * np.sin(2 * math.pi * (start + pitch_hz * steps))
        np.testing.assert_allclose(out[2 * frame], sine + 0.003 * given[2 * frame], atol=1e-6)
    np.testing.assert_allclose(out[1], 0.1 / 3 * given[1], atol=1e-6)


def test_a_sine_goes_on_from_frame_to_frame() -> None:
    """With the phase carried on, no step is larger than the pitch makes it."""
    pitch = torch.tensor([[123.4] * 5])
    phase = torch.tensor([[123.4 * 0.01 * frame % 1 for frame in range(5)]])
    out = source()(pitch, phase, torch.zeros(1, 5 * HOP, 1)).flatten()
    assert float(out.diff().abs().max()) <= 0.1 * 2 * math.pi * 123.4 / RATE_HZ + 1e-6


def test_a_frame_becomes_its_samples() -> None:
    """A hundredth of a second each, between -1 and 1."""
    out = decoder()(torch.randn(1, 8, 13), torch.zeros(1, 1, 13 * HOP), torch.zeros(1, 4, 1))
    assert out.shape == (1, 1, 13 * HOP)
    assert float(out.abs().max()) <= 1


@pytest.mark.parametrize(("sample_rate_hz", "version"), sorted(UPSAMPLING))
def test_it_looks_less_than_the_left_edge_to_each_side(sample_rate_hz: int, version: str) -> None:
    """What the streaming window counts on, for each of RVC's rates: 93 to 118 ms."""
    network, hop = decoder(sample_rate_hz, version).double(), sample_rate_hz // 100
    excitation, speaker = torch.zeros(1, 1, 41 * hop).double(), torch.zeros(1, 4, 1).double()
    latent = torch.zeros(1, 8, 41).double()
    changed = latent.clone()
    changed[:, :, 20] = 50
    difference = (network(latent, excitation, speaker) - network(changed, excitation, speaker)).flatten()
    touched = difference.nonzero().flatten() / hop
    assert 9 < 20 - float(touched.min()) < LEFT_FRAMES
    assert 9 < float(touched.max()) - 21 < LEFT_FRAMES

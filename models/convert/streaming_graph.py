"""The voice network as streaming graphs compute it: `models.voice_graph` in torch, ready for the exporter."""

import torch
from torch import Tensor, nn

from models.convert.rvc_network import RvcNetwork, RvcShape
from models.voice_graph import BEYOND_FRAMES, HELD_FRAMES, STEP_FRAMES, Port, Rung, decoder_inputs, latent_inputs


class LatentGraph(nn.Module):
    """The latent of a hop, window by window, and what seems to follow it."""

    def __init__(self, network: RvcNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, coarse_pitch: Tensor, latent_noise: Tensor, speaker: Tensor) -> Tensor:
        """Latent [1, C, windows * STEP_FRAMES + LATENT_AHEAD_FRAMES] of `models.voice_graph.latent_inputs`."""
        voice = self.network.speaker(speaker)
        latent = self.network.latent(features, coarse_pitch, latent_noise, voice)
        steps = latent[:, :, -(STEP_FRAMES + BEYOND_FRAMES) : -BEYOND_FRAMES]
        hop = steps.permute(1, 0, 2).reshape(1, int(steps.shape[1]), -1)
        return torch.cat([hop, latent[-1:, :, -BEYOND_FRAMES:-HELD_FRAMES]], dim=2)


class DecoderGraph(nn.Module):
    """Latent to audio; everything random or carried on comes in as an input."""

    def __init__(self, network: RvcNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, latent: Tensor, pitch_hz: Tensor, phase: Tensor, source_noise: Tensor, speaker: Tensor) -> Tensor:
        """Audio [1, T * frame samples]; the inputs are those of `models.voice_graph.decoder_inputs`."""
        excitation = self.network.dec.m_source(pitch_hz, phase, source_noise)
        return self.network.dec(latent, excitation, self.network.speaker(speaker)).squeeze(1)


def latent_probe(shape: RvcShape, rung: Rung) -> dict[str, Tensor]:
    """Inputs that use every part of the latent graph, in its order: every pitch, the last speaker; no chance."""
    ports = latent_inputs(rung, feature_width=shape.feature_width)
    random = torch.Generator().manual_seed(rung.hop_ms)
    made = _gaussian(ports, random)
    made["coarse_pitch"] = torch.randint(1, 256, made["coarse_pitch"].shape, generator=random)
    made["speaker"] = torch.tensor([shape.speakers - 1])
    return made


def decoder_probe(shape: RvcShape, rung: Rung) -> dict[str, Tensor]:
    """Inputs that use every part of the decoder graph, in order: a pitch with a gap, the last speaker; no chance."""
    ports = decoder_inputs(rung, frame_samples=shape.hop)
    random = torch.Generator().manual_seed(rung.hop_ms)
    made = _gaussian(ports, random)
    pitch_hz = 110 * 2 ** (torch.arange(rung.decoded) / 12)
    pitch_hz[rung.decoded // 3 : rung.decoded // 2] = 0
    made["pitch_hz"] = pitch_hz.unsqueeze(0).float()
    made["phase"] = torch.rand((1, rung.decoded), generator=random)
    made["speaker"] = torch.tensor([shape.speakers - 1])
    return made


def _gaussian(ports: tuple[Port, ...], random: torch.Generator) -> dict[str, Tensor]:
    """All ports in order, filled with noise; those of whole numbers are to be filled by the caller."""
    return {port.name: torch.randn(port.shape, generator=random) for port in ports}

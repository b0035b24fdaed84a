"""The voice network as a streaming graph computes it: `models.voice_graph` in torch, ready for the exporter."""

import torch
from torch import Tensor, nn

from models.convert.rvc_network import RvcNetwork, RvcShape
from models.voice_graph import Port, Rung, inputs


class StreamingGraph(nn.Module):
    """One rung of a voice; everything random or carried on comes in as an input."""

    def __init__(self, network: RvcNetwork, rung: Rung) -> None:
        super().__init__()
        self.network = network
        self._decoded = rung.decoded

    def forward(
        self,
        features: Tensor,
        coarse_pitch: Tensor,
        latent_noise: Tensor,
        pitch_hz: Tensor,
        phase: Tensor,
        source_noise: Tensor,
        stretch: Tensor,
        speaker: Tensor,
    ) -> Tensor:
        """Audio [1, decoded * frame samples]; the inputs are those of `models.voice_graph.inputs`."""
        voice = self.network.speaker(speaker)
        latent = self.network.latent(features, coarse_pitch, latent_noise, voice)[:, :, -self._decoded :]
        excitation = self.network.dec.m_source(pitch_hz, phase, source_noise)
        return self.network.dec(torch.matmul(latent, stretch), excitation, voice).squeeze(1)


def ports(shape: RvcShape, rung: Rung) -> tuple[Port, ...]:
    """The inputs of a rung of a voice of this shape."""
    return inputs(rung, feature_width=shape.feature_width, frame_samples=shape.hop)


def probe(shape: RvcShape, rung: Rung) -> dict[str, Tensor]:
    """Inputs that use every part of the graph: voiced and unvoiced frames, a stretch, the last speaker; no chance."""
    random = torch.Generator().manual_seed(rung.hop_ms)
    decoded = rung.decoded
    pitch_hz = 110 * 2 ** (torch.arange(decoded) / 12)
    pitch_hz[decoded // 3 : decoded // 2] = 0
    made = {
        port.name: torch.randn(port.shape, generator=random) for port in ports(shape, rung) if port.dtype == "float32"
    }
    made["coarse_pitch"] = torch.randint(1, 256, (1, rung.seen), generator=random)
    made["pitch_hz"] = pitch_hz.unsqueeze(0).float()
    made["phase"] = torch.rand((1, decoded), generator=random)
    made["stretch"] = torch.eye(decoded) * 0.75 + torch.eye(decoded).roll(1, 0) * 0.25
    made["speaker"] = torch.tensor([shape.speakers - 1])
    return made

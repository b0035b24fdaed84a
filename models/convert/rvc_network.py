"""The whole RVC voice network for inference: features and pitch of a speaker in, audio of the target voice out.

Built from a checkpoint's own configuration, with the names of the public layout, so that its state dict *is* the schema
(`models.convert.rvc_checkpoint`). Weight normalization is fused into the weights when they are loaded.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.convert.rvc_attention import AttentionStack
from models.convert.rvc_decoder import Decoder
from models.convert.rvc_flow import Flow

NOISE_SCALE = 0.66666
"""How much of the prior's spread is sampled, as RVC does."""

PITCH_BINS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RvcShape:
    """The sizes of one voice network, out of a checkpoint's configuration."""

    feature_width: int
    channels: int
    hidden: int
    inner: int
    heads: int
    layers: int
    kernel: int
    block_kernels: tuple[int, ...]
    block_dilations: tuple[tuple[int, ...], ...]
    rates: tuple[int, ...]
    initial: int
    up_kernels: tuple[int, ...]
    speakers: int
    speaker_channels: int
    sample_rate_hz: int

    @property
    def hop(self) -> int:
        """Samples of one 10 ms frame."""
        return math.prod(self.rates)


class TextEncoder(nn.Module):
    """Features [B, T, W] and coarse pitch [B, T] to the prior's mean and log deviation, [B, C, T] each."""

    def __init__(self, shape: RvcShape) -> None:
        super().__init__()
        self.emb_phone = nn.Linear(shape.feature_width, shape.hidden)
        self.emb_pitch = nn.Embedding(PITCH_BINS, shape.hidden)
        self.encoder = AttentionStack(
            channels=shape.hidden, inner=shape.inner, heads=shape.heads, layers=shape.layers, kernel=shape.kernel
        )
        self.proj = nn.Conv1d(shape.hidden, 2 * shape.channels, 1)
        self._scale = math.sqrt(shape.hidden)
        self._channels = shape.channels

    def forward(self, features: Tensor, coarse_pitch: Tensor) -> tuple[Tensor, Tensor]:
        x = (self.emb_phone(features) + self.emb_pitch(coarse_pitch)) * self._scale
        made = self.proj(self.encoder(functional.leaky_relu(x, 0.1).transpose(1, 2)))
        mean, log_deviation = made.split(self._channels, dim=1)
        return mean, log_deviation


class RvcNetwork(nn.Module):
    """The three parts by their names in the file. Weights are zero until a checkpoint is loaded."""

    def __init__(self, shape: RvcShape) -> None:
        super().__init__()
        self.enc_p = TextEncoder(shape)
        self.flow = Flow(shape.channels, shape.hidden, shape.speaker_channels)
        self.dec = Decoder(
            channels=shape.channels,
            initial=shape.initial,
            rates=shape.rates,
            kernels=shape.up_kernels,
            block_kernels=shape.block_kernels,
            block_dilations=shape.block_dilations,
            speaker_channels=shape.speaker_channels,
            sample_rate_hz=shape.sample_rate_hz,
        )
        self.emb_g = nn.Embedding(shape.speakers, shape.speaker_channels)

    def speaker(self, speaker_id: Tensor) -> Tensor:
        """The embedding of int64 [B] as [B, G, 1]."""
        return self.emb_g(speaker_id).unsqueeze(-1)

    def latent(self, features: Tensor, coarse_pitch: Tensor, noise: Tensor, speaker: Tensor) -> Tensor:
        """What the decoder takes, [B, C, T'], for the last T' frames: as many as `noise` [B, C, T'] has.

        The encoder attends to all T frames of `features`; the flow runs on the last T' only.
        """
        mean, log_deviation = self.enc_p(features, coarse_pitch)
        kept = int(noise.shape[-1])
        prior = mean[:, :, -kept:] + torch.exp(log_deviation[:, :, -kept:]) * noise * NOISE_SCALE
        return self.flow(prior, speaker)

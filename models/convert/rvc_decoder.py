"""RVC's decoder: a HiFi-GAN that is led by a sine at the pitch (neural source filter).

HiFi-GAN: Kong et al. 2020, arXiv 2010.05646; the source: Wang et al. 2019, arXiv 1904.12088; laid out by RVC-Project
(MIT). Phase and noise come from outside, so that a stream can carry them on.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SINE_LEVEL = 0.1
VOICED_NOISE = 0.003
UNVOICED_NOISE = SINE_LEVEL / 3
SLOPE = 0.1
LAST_SLOPE = 0.01
"""The leak before the last convolution is PyTorch's default, unlike all others."""


class Source(nn.Module):
    """The excitation: a sine at the pitch where it is voiced, noise where it is not."""

    def __init__(self, hop: int, sample_rate_hz: int) -> None:
        super().__init__()
        self.hop = hop
        self.sample_rate_hz = sample_rate_hz
        self.l_linear = nn.Linear(1, 1)

    def forward(self, pitch_hz: Tensor, phase: Tensor, noise: Tensor) -> Tensor:
        """Excitation [B, 1, T * hop] from pitch [B, T] in Hz (0 unvoiced), the phase in cycles [0, 1) at each frame's
        start [B, T], and Gaussian noise [B, T * hop, 1]. The pitch is held over a frame."""
        step = torch.arange(1, self.hop + 1, dtype=torch.float32) / self.sample_rate_hz
        cycles = phase.unsqueeze(-1) + pitch_hz.unsqueeze(-1) * step
        sine = SINE_LEVEL * torch.sin(2 * math.pi * (cycles - torch.floor(cycles)))
        voiced = (pitch_hz > 0).float().unsqueeze(-1)
        level = VOICED_NOISE * voiced + UNVOICED_NOISE * (1 - voiced)
        excitation = sine * voiced + level * noise.reshape(int(noise.shape[0]), -1, self.hop)
        return torch.tanh(self.l_linear(excitation.reshape(int(noise.shape[0]), -1, 1))).transpose(1, 2)


class ResidualBlock(nn.Module):
    """Three dilated convolutions, each with a plain one behind it, added to what came in."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=dilation * (kernel // 2))
            for dilation in dilations
        )
        self.convs2 = nn.ModuleList(nn.Conv1d(channels, channels, kernel, padding=kernel // 2) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for wide, narrow in zip(self.convs1, self.convs2, strict=True):
            x = x + narrow(functional.leaky_relu(wide(functional.leaky_relu(x, SLOPE)), SLOPE))
        return x


class Decoder(nn.Module):
    """Latent [B, C, T] and excitation [B, 1, T * hop] to audio [B, 1, T * hop] in [-1, 1]."""

    def __init__(
        self,
        *,
        channels: int,
        initial: int,
        rates: tuple[int, ...],
        kernels: tuple[int, ...],
        block_kernels: tuple[int, ...],
        block_dilations: tuple[tuple[int, ...], ...],
        speaker_channels: int,
        sample_rate_hz: int,
    ) -> None:
        super().__init__()
        widths = [initial >> stage for stage in range(len(rates) + 1)]
        self.m_source = Source(math.prod(rates), sample_rate_hz)
        self.noise_convs = nn.ModuleList(
            _source_conv(width, math.prod(rates[stage + 1 :])) for stage, width in enumerate(widths[1:])
        )
        self.conv_pre = nn.Conv1d(channels, initial, 7, padding=3)
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(wide, narrow, kernel, rate, padding=(kernel - rate) // 2)
            for wide, narrow, kernel, rate in zip(widths, widths[1:], kernels, rates, strict=False)
        )
        self.resblocks = nn.ModuleList(
            ResidualBlock(width, kernel, dilations)
            for width in widths[1:]
            for kernel, dilations in zip(block_kernels, block_dilations, strict=True)
        )
        self.conv_post = nn.Conv1d(widths[-1], 1, 7, padding=3, bias=False)
        self.cond = nn.Conv1d(speaker_channels, initial, 1)
        self._blocks = len(block_kernels)

    def forward(self, latent: Tensor, excitation: Tensor, speaker: Tensor) -> Tensor:
        x = self.conv_pre(latent) + self.cond(speaker)
        for stage, (up, source_conv) in enumerate(zip(self.ups, self.noise_convs, strict=True)):
            x = up(functional.leaky_relu(x, SLOPE)) + source_conv(excitation)
            blocks = [self.resblocks[stage * self._blocks + number] for number in range(self._blocks)]
            x = sum((block(x) for block in blocks[1:]), start=blocks[0](x)) / self._blocks
        return torch.tanh(self.conv_post(functional.leaky_relu(x, LAST_SLOPE)))


def _source_conv(channels: int, stride: int) -> nn.Conv1d:
    """Brings the excitation down to the rate of a stage; at the last stage it is there already."""
    if stride == 1:
        return nn.Conv1d(1, channels, 1)
    return nn.Conv1d(1, channels, 2 * stride, stride, padding=stride // 2)

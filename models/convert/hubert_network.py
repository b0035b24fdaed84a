"""ContentVec: HuBERT base with a 256-wide projection; 16 kHz sound in, what is said (not who says it) out.

HuBERT: Hsu et al. 2021, arXiv 2106.07447; ContentVec: Qian et al. 2022, arXiv 2204.09224 (weights MIT). Names as in the
Transformers layout of the public file. Checkpoints are read by `models.convert.voice_networks`.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 768
INNER = 3072
HEADS = 12
LAYERS = 12
CONV_WIDTH = 512
CONV_KERNELS = (10, 3, 3, 3, 3, 2, 2)
CONV_STRIDES = (5, 2, 2, 2, 2, 2, 2)
POSITION_KERNEL = 128
POSITION_GROUPS = 16
PROJECTED = 256
TRAINING_ONLY = "masked_spec_embed"
"""A tensor of the public file that inference does not need."""
V1_LAYER = 9
"""RVC v1 voices take the ninth layer, projected; v2 voices the last, as it is."""


class ConvLayer(nn.Module):
    """One convolution of the waveform; the first is normalized, each channel over all time."""

    def __init__(self, place: int) -> None:
        super().__init__()
        narrow = CONV_WIDTH if place else 1
        self.conv = nn.Conv1d(narrow, CONV_WIDTH, CONV_KERNELS[place], CONV_STRIDES[place], bias=False)
        if place == 0:
            self.layer_norm = nn.GroupNorm(CONV_WIDTH, CONV_WIDTH)
        self._first = place == 0

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return functional.gelu(self._normalized(x) if self._first else x)

    def _normalized(self, x: Tensor) -> Tensor:
        """The group norm of one channel a group, under its other name: that one is a single node of a graph."""
        norm = self.layer_norm
        return functional.instance_norm(x, weight=norm.weight, bias=norm.bias, eps=norm.eps)


class FeatureExtractor(nn.Module):
    """Waveform [B, 1, N] to [B, 512, (N - 400) // 320 + 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(ConvLayer(place) for place in range(len(CONV_KERNELS)))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.conv_layers:
            x = layer(x)
        return x


class FeatureProjection(nn.Module):
    """To the width of the transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(CONV_WIDTH)
        self.projection = nn.Linear(CONV_WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(self.layer_norm(x))


class PositionalConv(nn.Module):
    """Positions by a wide grouped convolution; an even kernel gives one frame too many, and the last is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(WIDTH, WIDTH, POSITION_KERNEL, padding=POSITION_KERNEL // 2, groups=POSITION_GROUPS)

    def forward(self, x: Tensor) -> Tensor:
        return functional.gelu(self.conv(x.transpose(1, 2))[:, :, :-1]).transpose(1, 2)


class Attention(nn.Module):
    """Plain self-attention over [B, T, 768]."""

    def __init__(self) -> None:
        super().__init__()
        self.k_proj = nn.Linear(WIDTH, WIDTH)
        self.v_proj = nn.Linear(WIDTH, WIDTH)
        self.q_proj = nn.Linear(WIDTH, WIDTH)
        self.out_proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        query = _split(self.q_proj(x)) / math.sqrt(WIDTH // HEADS)
        weights = torch.softmax(torch.matmul(query, _split(self.k_proj(x)).transpose(2, 3)), dim=-1)
        mixed = torch.matmul(weights, _split(self.v_proj(x))).transpose(1, 2)
        return self.out_proj(mixed.reshape(-1, int(x.shape[1]), WIDTH))


class FeedForward(nn.Module):
    """Two dense layers with an exact GELU between them."""

    def __init__(self) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(WIDTH, INNER)
        self.output_dense = nn.Linear(INNER, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.output_dense(functional.gelu(self.intermediate_dense(x)))


class Layer(nn.Module):
    """Attention and feed-forward, the norm after each sum."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.layer_norm = nn.LayerNorm(WIDTH)
        self.feed_forward = FeedForward()
        self.final_layer_norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer_norm(x + self.attention(x))
        return self.final_layer_norm(x + self.feed_forward(x))


class Encoder(nn.Module):
    """The transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.pos_conv_embed = PositionalConv()
        self.layer_norm = nn.LayerNorm(WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, x: Tensor, layers: int) -> Tensor:
        x = self.layer_norm(x + self.pos_conv_embed(x))
        for layer in self.layers[:layers]:
            x = layer(x)
        return x


class HubertNetwork(nn.Module):
    """Waveform [B, N] at 16 kHz in [-1, 1], not normalized, to features each 20 ms, [B, (N - 400) // 320 + 1, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_extractor = FeatureExtractor()
        self.feature_projection = FeatureProjection()
        self.encoder = Encoder()
        self.final_proj = nn.Linear(WIDTH, PROJECTED)

    def forward(self, wave: Tensor) -> Tensor:
        """Features for RVC v2 voices, W = 768."""
        return self._hidden(wave, LAYERS)

    def projected(self, wave: Tensor) -> Tensor:
        """Features for RVC v1 voices, W = 256."""
        return self.final_proj(self._hidden(wave, V1_LAYER))

    def _hidden(self, wave: Tensor, layers: int) -> Tensor:
        features = self.feature_extractor(wave.unsqueeze(1)).transpose(1, 2)
        return self.encoder(self.feature_projection(features), layers)


def norm_axis(layer: str) -> int | None:
    """Only the positional convolution is weight-normalized, over its taps."""
    return 2 if layer == "encoder.pos_conv_embed.conv" else None


def _split(x: Tensor) -> Tensor:
    """[B, T, 768] -> [B, heads, T, 64]."""
    return x.reshape(-1, int(x.shape[1]), HEADS, WIDTH // HEADS).transpose(1, 2)

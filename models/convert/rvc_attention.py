"""The attention block of RVC's text encoder: two heads with learned relative positions, then a convolutional FFN.

After the encoder of VITS (Kim et al. 2021, arXiv 2106.06103) with the relative positions of Shaw et al. 2018 (arXiv
1803.02155), as the checkpoints of RVC-Project (MIT) lay them out. One utterance, no padding, so there is no mask.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

WINDOW = 10
"""Positions further apart than this many frames get no positional term."""


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of [B, C, T]; its parameters are called gamma and beta."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x.transpose(1, -1), self.gamma.shape, self.gamma, self.beta, 1e-5).transpose(1, -1)


class RelativeAttention(nn.Module):
    """Self-attention over [B, C, T], relative keys and values shared by the heads."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.width = channels // heads
        self.conv_q = nn.Conv1d(channels, channels, 1)
        self.conv_k = nn.Conv1d(channels, channels, 1)
        self.conv_v = nn.Conv1d(channels, channels, 1)
        self.conv_o = nn.Conv1d(channels, channels, 1)
        self.emb_rel_k = nn.Parameter(torch.zeros(1, 2 * WINDOW + 1, self.width))
        self.emb_rel_v = nn.Parameter(torch.zeros(1, 2 * WINDOW + 1, self.width))

    def forward(self, x: Tensor) -> Tensor:
        frames = int(x.shape[-1])  # a constant of the graph, unlike the number of windows
        query = self._split(self.conv_q(x)) / math.sqrt(self.width)
        key, value = self._split(self.conv_k(x)), self._split(self.conv_v(x))
        near, index = _relative(frames)
        position_key = self.emb_rel_k[0][index] * near
        position_value = self.emb_rel_v[0][index] * near
        # [B, H, T, W] with [T, T, W]: per query frame, its own row of positions
        by_position = torch.matmul(self._frames_first(query), position_key.transpose(1, 2))
        scores = torch.matmul(query, key.transpose(-2, -1)) + self._heads_first(by_position)
        weights = functional.softmax(scores, dim=-1)
        positional = torch.matmul(self._frames_first(weights), position_value)
        mixed = torch.matmul(weights, value) + self._heads_first(positional)
        return self.conv_o(mixed.transpose(2, 3).reshape(-1, self.heads * self.width, frames))

    def _split(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, heads, T, width]."""
        return x.reshape(-1, self.heads, self.width, int(x.shape[-1])).transpose(2, 3)

    def _frames_first(self, x: Tensor) -> Tensor:
        """[B, heads, T, n] -> [T, B * heads, n]."""
        return x.permute(2, 0, 1, 3).reshape(int(x.shape[2]), -1, int(x.shape[3]))

    def _heads_first(self, x: Tensor) -> Tensor:
        """[T, B * heads, n] -> [B, heads, T, n]."""
        return x.reshape(int(x.shape[0]), -1, self.heads, int(x.shape[2])).permute(1, 2, 0, 3)


class FeedForward(nn.Module):
    """Two convolutions with a ReLU between them, padded so that the length stays."""

    def __init__(self, channels: int, inner: int, kernel: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv1d(channels, inner, kernel, padding=kernel // 2)
        self.conv_2 = nn.Conv1d(inner, channels, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_2(functional.relu(self.conv_1(x)))


class AttentionStack(nn.Module):
    """Layers of attention and FFN, each followed by its norm (post-norm)."""

    def __init__(self, *, channels: int, inner: int, heads: int, layers: int, kernel: int) -> None:
        super().__init__()
        self.attn_layers = nn.ModuleList(RelativeAttention(channels, heads) for _ in range(layers))
        self.norm_layers_1 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.ffn_layers = nn.ModuleList(FeedForward(channels, inner, kernel) for _ in range(layers))
        self.norm_layers_2 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        parts = zip(self.attn_layers, self.norm_layers_1, self.ffn_layers, self.norm_layers_2, strict=True)
        for attention, norm_1, feed_forward, norm_2 in parts:
            x = norm_1(x + attention(x))
            x = norm_2(x + feed_forward(x))
        return x


def _relative(frames: int) -> tuple[Tensor, Tensor]:
    """Whether frame j is within the window of frame i, float32 [T, T, 1], and its row in the table, int64 [T, T]."""
    position = torch.arange(frames)
    offset = position[None, :] - position[:, None]
    near = (offset.abs() <= WINDOW).float().unsqueeze(-1)
    return near, offset.clamp(-WINDOW, WINDOW) + WINDOW

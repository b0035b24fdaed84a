"""Attention with relative positions, against its definition written out for one frame at a time."""

import math

import pytest

pytest.importorskip("torch")

import torch

from models.convert.rvc_attention import WINDOW, AttentionStack, ChannelNorm, RelativeAttention

FRAMES = 27  # more than the window reaches, to both sides


def filled(channels: int = 8, heads: int = 2) -> RelativeAttention:
    """Random weights, positions too."""
    torch.manual_seed(1)
    layer = RelativeAttention(channels, heads)
    torch.nn.init.normal_(layer.emb_rel_k)
    torch.nn.init.normal_(layer.emb_rel_v)
    layer.requires_grad_(False)
    return layer


def written_out(layer: RelativeAttention, x: torch.Tensor) -> torch.Tensor:
    """Shaw et al. 2018, equations 3 and 4: every pair of frames on its own, head by head."""
    heads, width = layer.heads, layer.width
    q, k, v = (conv(x)[0].T.reshape(FRAMES, heads, width) for conv in (layer.conv_q, layer.conv_k, layer.conv_v))
    out = torch.zeros(FRAMES, heads, width)
    for head in range(heads):
        for i in range(FRAMES):
            near = [j - i + WINDOW if abs(j - i) <= WINDOW else None for j in range(FRAMES)]
            keys = torch.stack([k[j, head] + (0 if r is None else layer.emb_rel_k[0, r]) for j, r in enumerate(near)])
            values = torch.stack([v[j, head] + (0 if r is None else layer.emb_rel_v[0, r]) for j, r in enumerate(near)])
            out[i, head] = torch.softmax(keys @ q[i, head] / math.sqrt(width), dim=0) @ values
    return layer.conv_o(out.reshape(FRAMES, -1).T.unsqueeze(0))


def test_attention_is_its_definition() -> None:
    """Keys and values both get their positional term within ten frames, none beyond."""
    layer = filled()
    x = torch.randn(1, 8, FRAMES, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(layer(x), written_out(layer, x), atol=1e-5)


def test_frames_far_away_have_no_position() -> None:
    """Positions differ only within the window: swapping two frames beyond it changes nothing for this one."""
    layer = filled()
    x = torch.randn(1, 8, FRAMES, generator=torch.Generator().manual_seed(3))
    swapped = x.clone()
    swapped[:, :, [20, 25]] = x[:, :, [25, 20]]
    assert torch.allclose(layer(x)[:, :, 5], layer(swapped)[:, :, 5], atol=1e-6)
    assert not torch.allclose(layer(x)[:, :, 18], layer(swapped)[:, :, 18], atol=1e-3)


def test_the_norm_is_over_channels() -> None:
    """Each frame by itself."""
    x = torch.randn(1, 16, 5, generator=torch.Generator().manual_seed(4)) * 3 + 1
    out = ChannelNorm(16)(x)
    assert torch.allclose(out.mean(1), torch.zeros(1, 5), atol=1e-6)
    assert torch.allclose(out.var(1, unbiased=False), torch.ones(1, 5), atol=1e-4)


def test_a_stack_keeps_the_shape() -> None:
    """And has two norms a layer."""
    stack = AttentionStack(channels=8, inner=16, heads=2, layers=3, kernel=3)
    assert stack(torch.zeros(1, 8, 11)).shape == (1, 8, 11)
    assert len(stack.norm_layers_1) == len(stack.norm_layers_2) == 3

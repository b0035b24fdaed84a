"""CodeFormer as a torch network with the names of `codeformer.pth` (Zhou et al., NeurIPS 2022, arXiv:2206.11253).

Our own words for the published architecture: an encoder, a transformer that predicts one of 1024 codes for each of
16 x 16 places, a generator that draws the codes, and bridges that bring back as much of the input as `fidelity` says.
Read from the checkpoint here, once; the server never imports it.
"""

import pickle
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.runtime import NetworkError

SIZE_PX = 512
WIDTHS = (64, 128, 128, 256, 256, 512)
TOKENS, CODES, CODE_WIDTH, TOKEN_WIDTH = 256, 1024, 256, 512
HEADS, LAYERS, FEED_WIDTH = 8, 9, 1024
BRIDGES = {"32": (14, 9), "64": (11, 12), "128": (8, 15), "256": (5, 18)}
"""Side in pixels of a bridge -> the encoder's block before it, the generator's block after which it joins."""

KEY = "params_ema"


class CodeFormer(nn.Module):
    """Restores faces: RGB (n, 3, 512, 512) in [-1, 1], aligned to the FFHQ template, to the same."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _Blocks(_encoder_blocks())
        self.generator = _Blocks(_generator_blocks())
        self.quantize = nn.ModuleDict({"embedding": nn.Embedding(CODES, CODE_WIDTH)})
        self.position_emb = nn.Parameter(torch.zeros(TOKENS, TOKEN_WIDTH))
        self.feat_emb = nn.Linear(CODE_WIDTH, TOKEN_WIDTH)
        self.ft_layers = nn.ModuleList([_Layer() for _ in range(LAYERS)])
        self.idx_pred_layer = nn.Sequential(nn.LayerNorm(TOKEN_WIDTH), nn.Linear(TOKEN_WIDTH, CODES, bias=False))
        widths = {"32": 256, "64": 256, "128": 128, "256": 128}
        self.fuse_convs_dict = nn.ModuleDict({side: _Bridge(widths[side]) for side in BRIDGES})

    def forward(self, picture: Tensor, fidelity: Tensor | float) -> Tensor:
        """Restore. `fidelity` in [0, 1]: 0 draws the codes alone, 1 keeps most of the input; a tensor (n, 1, 1, 1) sets
        it for each face and keeps the graph of operations the same, which a number 0 does not: it skips the bridges.
        """
        features, taps = self.encode(picture)
        codes = self.logits(features).argmax(dim=2)
        return self.draw(self.dressed(codes, features), taps, fidelity)

    def encode(self, picture: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Features (n, 256, 16, 16) and what the bridges take, by side."""
        sides = {block: side for side, (block, _) in BRIDGES.items()}
        taps, x = {}, picture
        for index, block in enumerate(self.encoder.blocks):
            x = block(x)
            if index in sides:
                taps[sides[index]] = x
        return x, taps

    def logits(self, features: Tensor) -> Tensor:
        """How likely each code is at each place, row by row: (n, 256, 1024)."""
        tokens = self.feat_emb(features.flatten(2).transpose(1, 2))
        for layer in self.ft_layers:
            tokens = layer(tokens, self.position_emb)
        return torch.as_tensor(self.idx_pred_layer(tokens))

    def dressed(self, codes: Tensor, features: Tensor) -> Tensor:
        """The codes (n, 256) as features (n, 256, 16, 16), with the input's mean and spread in each channel (AdaIN)."""
        drawn = self.quantize["embedding"](codes).transpose(1, 2).reshape(features.shape)
        mean, spread = _statistics(drawn)
        wanted_mean, wanted_spread = _statistics(features)
        return (drawn - mean) / spread * wanted_spread + wanted_mean

    def draw(self, features: Tensor, taps: dict[str, Tensor], fidelity: Tensor | float) -> Tensor:
        """The picture that features (n, 256, 16, 16) stand for."""
        sides = {block: side for side, (_, block) in BRIDGES.items()}
        bridged = isinstance(fidelity, Tensor) or fidelity > 0
        x = features
        for index, block in enumerate(self.generator.blocks):
            x = block(x)
            if bridged and index in sides:
                x = self.fuse_convs_dict[sides[index]](taps[sides[index]], x, fidelity)
        return x


def load_codeformer(path: Path) -> CodeFormer:
    """The network with the weights of a checkpoint, ready for inference, float32 on the CPU.

    Only tensors are read, nothing of the file is run. Raises `NetworkError` for anything but a CodeFormer.
    """
    mend = f"`mirage-rtc models verify {path.name}` says whether it is the pinned file."
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError, EOFError) as error:
        raise NetworkError(f"{path} is not a checkpoint that can be read; {mend}") from error
    weights = loaded.get(KEY) if isinstance(loaded, dict) else None
    if not isinstance(weights, dict):
        raise NetworkError(f"{path} has no {KEY!r} in it, so it is no CodeFormer; {mend}")
    with torch.device("meta"):
        network = CodeFormer()
    try:
        network.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:
        first = " ".join(str(error).splitlines()[1:2]).strip()
        raise NetworkError(f"{path} holds other weights than CodeFormer's ({first}); {mend}") from error
    network.float().eval().requires_grad_(False)
    return network


class _Blocks(nn.Module):
    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)


def _encoder_blocks() -> list[nn.Module]:
    blocks: list[nn.Module] = [_conv3(3, WIDTHS[0])]
    width = WIDTHS[0]
    for level, wider in enumerate(WIDTHS):
        last = level == len(WIDTHS) - 1
        for _ in range(2):
            blocks.append(_Residual(width, wider))
            blocks += [_Attention(wider)] if last else []
            width = wider
        blocks += [] if last else [_Halve(width)]
    blocks += [_Residual(width, width), _Attention(width), _Residual(width, width)]
    return [*blocks, _norm(width), _conv3(width, CODE_WIDTH)]


def _generator_blocks() -> list[nn.Module]:
    width = WIDTHS[-1]
    blocks: list[nn.Module] = [_conv3(CODE_WIDTH, width)]
    blocks += [_Residual(width, width), _Attention(width), _Residual(width, width)]
    for level, narrower in reversed(list(enumerate(WIDTHS))):
        for _ in range(2):
            blocks.append(_Residual(width, narrower))
            blocks += [_Attention(narrower)] if level == len(WIDTHS) - 1 else []
            width = narrower
        blocks += [_Double(width)] if level else []
    return [*blocks, _norm(width), _conv3(width, 3)]


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, width, eps=1e-6)


def _conv3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class _Residual(nn.Module):
    """Twice norm, swish, convolution; a 1 x 1 convolution beside it only where the width changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(inputs), _conv3(inputs, outputs)
        self.norm2, self.conv2 = _norm(outputs), _conv3(outputs, outputs)
        self.conv_out = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(functional.silu(self.norm1(x)))
        inner = self.conv2(functional.silu(self.norm2(inner)))
        return torch.as_tensor(inner + (x if self.conv_out is None else self.conv_out(x)))


class _Attention(nn.Module):
    """Every place looks at every other, one head, by 1 x 1 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = _norm(width)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm(x)
        query, key, value = (one(inner).flatten(2).transpose(1, 2) for one in (self.q, self.k, self.v))
        seen = functional.scaled_dot_product_attention(query, key, value)
        return torch.as_tensor(x + self.proj_out(seen.transpose(1, 2).reshape(x.shape)))


class _Halve(nn.Module):
    """Half the side; the border of one pixel is right and below only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.conv(functional.pad(x, (0, 1, 0, 1))))


class _Double(nn.Module):
    """Twice the side, each pixel repeated, then smoothed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = _conv3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest")))


class _Layer(nn.Module):
    """One layer of the transformer, normalised before each half; places are told by `position` in queries and keys."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = _Heads()
        self.linear1, self.linear2 = nn.Linear(TOKEN_WIDTH, FEED_WIDTH), nn.Linear(FEED_WIDTH, TOKEN_WIDTH)
        self.norm1, self.norm2 = nn.LayerNorm(TOKEN_WIDTH), nn.LayerNorm(TOKEN_WIDTH)

    def forward(self, tokens: Tensor, position: Tensor) -> Tensor:
        inner = self.norm1(tokens)
        tokens = tokens + self.self_attn(inner + position, inner)
        return torch.as_tensor(tokens + self.linear2(functional.gelu(self.linear1(self.norm2(tokens)))))


class _Heads(nn.Module):
    """Attention of eight heads with the names of torch's own layer."""

    def __init__(self) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * TOKEN_WIDTH, TOKEN_WIDTH))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * TOKEN_WIDTH))
        self.out_proj = nn.Linear(TOKEN_WIDTH, TOKEN_WIDTH)

    def forward(self, placed: Tensor, plain: Tensor) -> Tensor:
        """`placed` (n, tokens, 512) makes queries and keys, `plain` values."""
        parts = zip((placed, placed, plain), self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3), strict=True)
        query, key, value = (
            functional.linear(x, weight, bias).unflatten(2, (HEADS, -1)).transpose(1, 2) for x, weight, bias in parts
        )
        seen = functional.scaled_dot_product_attention(query, key, value)
        return torch.as_tensor(self.out_proj(seen.transpose(1, 2).flatten(2)))


class _Bridge(nn.Module):
    """Scales and shifts what is drawn by what was seen, by as much as `fidelity` says."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encode_enc = _Residual(2 * width, width)
        self.scale, self.shift = (
            nn.Sequential(_conv3(width, width), nn.LeakyReLU(0.2), _conv3(width, width)) for _ in range(2)
        )

    def forward(self, seen: Tensor, drawn: Tensor, fidelity: Tensor | float) -> Tensor:
        both = self.encode_enc(torch.cat([seen, drawn], dim=1))
        return torch.as_tensor(drawn + fidelity * (drawn * self.scale(both) + self.shift(both)))


def _statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread (n, channels, 1, 1) of each channel."""
    mean = features.mean(dim=(2, 3), keepdim=True)
    return mean, (features.var(dim=(2, 3), keepdim=True) + 1e-5).sqrt()

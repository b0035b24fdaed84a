"""CodeFormer as a torch network with the names of `codeformer.pth` (Zhou et al., NeurIPS 2022, arXiv:2206.11253).

Our own words for the published architecture: an encoder, a transformer that predicts one of 1024 codes for each of
16 x 16 places, a generator that draws the codes, and bridges that bring back as much of the input as `fidelity` says.
Read from the checkpoint by `enhancer_import`, and by `models.codeformer_torch` where torch runs it on a GPU.

All sizes but the batch are written out as constants, so that the exported graph computes no shapes: those would run on
the CPU, a round trip each.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.convert import weights
from models.convert.checkpoint_file import CheckpointFile
from models.runtime import NetworkError
from models.voice_refusal import VoiceRefused

SIZE_PX = 512
WIDTH = 64
"""Channels at full size; the narrow network of the tests has half."""
STEPS = (1, 2, 2, 4, 4, 8)
"""Channels at each halving, in multiples of that."""
GROUPS = 32
TOKENS, CODES, CODE_WIDTH, TOKEN_WIDTH = 256, 1024, 256, 512
HEADS, LAYERS, FEED_WIDTH = 8, 9, 1024
BRIDGES = {"32": (14, 9), "64": (11, 12), "128": (8, 15), "256": (5, 18)}
"""Side in pixels of a bridge -> the encoder's block before it, the generator's block after which it joins."""

KEY = "params_ema"
MAX_BYTES = 1 << 29


class CodeFormer(nn.Module):
    """Restores faces: RGB (n, 3, 512, 512) in [-1, 1], aligned to the FFHQ template, to the same."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.encoder = _Blocks(_encoder_blocks(width))
        self.generator = _Blocks(_generator_blocks(width))
        self.quantize = nn.ModuleDict({"embedding": nn.Embedding(CODES, CODE_WIDTH)})
        self.position_emb = nn.Parameter(torch.zeros(TOKENS, TOKEN_WIDTH))
        self.feat_emb = nn.Linear(CODE_WIDTH, TOKEN_WIDTH)
        self.ft_layers = nn.ModuleList([_Layer() for _ in range(LAYERS)])
        self.idx_pred_layer = nn.Sequential(nn.LayerNorm(TOKEN_WIDTH), nn.Linear(TOKEN_WIDTH, CODES, bias=False))
        widths = {"32": 4 * width, "64": 4 * width, "128": 2 * width, "256": 2 * width}
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
        tokens = self.feat_emb(_as_rows(features))
        for layer in self.ft_layers:
            tokens = layer(tokens, self.position_emb)
        return torch.as_tensor(self.idx_pred_layer(tokens))

    def dressed(self, codes: Tensor, features: Tensor) -> Tensor:
        """The codes (n, 256) as features (n, 256, 16, 16), with the input's mean and spread in each channel (AdaIN)."""
        drawn = _as_picture(self.quantize["embedding"](codes), features)
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


def load_codeformer(path: Path, width: int = WIDTH) -> CodeFormer:
    """The network with the weights of a checkpoint, ready for inference, float32 on the CPU.

    Only tensors are read, each by name, shape and kind; nothing of the file is run. Raises `NetworkError` for another.
    """
    try:
        return _loaded(path, width)
    except VoiceRefused as refused:
        mend = f"`mirage-rtc models verify {path.name}` says whether it is the pinned file."
        raise NetworkError(f"{refused.sentence} {mend}") from None


def _loaded(path: Path, width: int) -> CodeFormer:
    file = CheckpointFile(path, max_bytes=MAX_BYTES)
    described = file.contents.get(KEY) if isinstance(file.contents, dict) else None
    if not isinstance(described, dict):
        raise VoiceRefused("network_format", f"{path} has no {KEY!r} in it, so it is no CodeFormer.")
    with torch.device("meta"):
        network = CodeFormer(width)
    weights.check(path.name, described, weights.expected(network, _plain))
    weights.load(path.name, network, file.tensors()[KEY], _plain)
    return network


def _plain(_: str) -> None:
    """No layer is weight-normalized."""


class _Blocks(nn.Module):
    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)


def _encoder_blocks(width: int) -> list[nn.Module]:
    blocks: list[nn.Module] = [_conv3(3, width)]
    for level, wider in enumerate([step * width for step in STEPS]):
        last = level == len(STEPS) - 1
        for _ in range(2):
            blocks.append(_Residual(width, wider))
            blocks += [_Attention(wider)] if last else []
            width = wider
        blocks += [] if last else [_Halve(width)]
    blocks += [_Residual(width, width), _Attention(width), _Residual(width, width)]
    return [*blocks, _norm(width), _conv3(width, CODE_WIDTH)]


def _generator_blocks(least: int) -> list[nn.Module]:
    width = STEPS[-1] * least
    blocks: list[nn.Module] = [_conv3(CODE_WIDTH, width)]
    blocks += [_Residual(width, width), _Attention(width), _Residual(width, width)]
    for level, narrower in reversed(list(enumerate([step * least for step in STEPS]))):
        for _ in range(2):
            blocks.append(_Residual(width, narrower))
            blocks += [_Attention(narrower)] if level == len(STEPS) - 1 else []
            width = narrower
        blocks += [_Double(width)] if level else []
    return [*blocks, _norm(width), _conv3(width, 3)]


def _norm(width: int) -> "_GroupNorm":
    return _GroupNorm(GROUPS, width, eps=1e-6)


class _GroupNorm(nn.GroupNorm):
    """torch's own; for the exporter as a norm of each group's row, whose sizes are constants."""

    def forward(self, x: Tensor) -> Tensor:
        if not torch.onnx.is_in_onnx_export():
            return super().forward(x)
        _, width, height, across = map(int, x.shape)
        rows = x.reshape(-1, self.num_groups, width // self.num_groups * height * across)
        one, none = torch.ones(self.num_groups), torch.zeros(self.num_groups)  # else the exporter looks for the size
        even = functional.instance_norm(rows, weight=one, bias=none, eps=self.eps).reshape(-1, width, height, across)
        return torch.as_tensor(even * self.weight.reshape(width, 1, 1) + self.bias.reshape(width, 1, 1))


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
        query, key, value = (_as_rows(one(inner)) for one in (self.q, self.k, self.v))
        return torch.as_tensor(x + self.proj_out(_as_picture(_attended(query, key, value), x)))


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
        query, key, value = (_by_heads(functional.linear(x, weight, bias)) for x, weight, bias in parts)
        seen = _attended(query, key, value)
        return torch.as_tensor(self.out_proj(seen.transpose(1, 2).reshape(-1, TOKENS, TOKEN_WIDTH)))


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


def _as_rows(picture: Tensor) -> Tensor:
    """A picture (n, width, height, across) as (n, places, width)."""
    _, width, height, across = map(int, picture.shape)
    return picture.reshape(-1, width, height * across).transpose(1, 2)


def _as_picture(rows: Tensor, like: Tensor) -> Tensor:
    """Rows (n, places, width) as a picture with the sizes of `like`."""
    return rows.transpose(1, 2).reshape(-1, *map(int, like.shape[1:]))


def _by_heads(tokens: Tensor) -> Tensor:
    """(n, tokens, 512) as (n, heads, tokens, 64)."""
    return tokens.reshape(-1, TOKENS, HEADS, TOKEN_WIDTH // HEADS).transpose(1, 2)


def _attended(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention; its scale is given as a number, or the exporter would compute it in the graph."""
    return functional.scaled_dot_product_attention(query, key, value, scale=int(query.shape[-1]) ** -0.5)


def _statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread (n, channels, 1, 1) of each channel."""
    places = int(features.shape[2]) * int(features.shape[3])
    mean = features.mean(dim=(2, 3), keepdim=True)
    variance = ((features - mean) ** 2).sum(dim=(2, 3), keepdim=True) / (places - 1)
    return mean, (variance + 1e-5).sqrt()

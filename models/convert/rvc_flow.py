"""RVC's normalizing flow, run backwards: from the prior's latent to the one that the decoder takes.

Mean-only affine couplings over a WaveNet, as in VITS (arXiv 2106.06103) and laid out by RVC-Project (MIT).
"""

import torch
from torch import Tensor, nn

LAYERS = 3
KERNEL = 5
COUPLINGS = 4


class WaveNet(nn.Module):
    """Gated convolutions conditioned on the speaker; [B, C, T] in and out."""

    def __init__(self, channels: int, speaker_channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.cond_layer = nn.Conv1d(speaker_channels, 2 * channels * LAYERS, 1)
        self.in_layers = nn.ModuleList(
            nn.Conv1d(channels, 2 * channels, KERNEL, padding=KERNEL // 2) for _ in range(LAYERS)
        )
        # The last layer has no residual to pass on.
        widths = [2 * channels] * (LAYERS - 1) + [channels]
        self.res_skip_layers = nn.ModuleList(nn.Conv1d(channels, width, 1) for width in widths)

    def forward(self, x: Tensor, speaker: Tensor) -> Tensor:
        conditions = self.cond_layer(speaker).split(2 * self.channels, dim=1)
        skipped = None
        for layer, (gated, res_skip, condition) in enumerate(
            zip(self.in_layers, self.res_skip_layers, conditions, strict=True)
        ):
            filtered, gate = (gated(x) + condition).split(self.channels, dim=1)
            out = res_skip(torch.tanh(filtered) * torch.sigmoid(gate))
            if layer == LAYERS - 1:
                break
            residual, skip = out.split(self.channels, dim=1)
            x, skipped = x + residual, skip if skipped is None else skipped + skip
        return skipped + out


class Coupling(nn.Module):
    """One coupling, inverted: the second half loses the mean that the first half predicts."""

    def __init__(self, channels: int, hidden: int, speaker_channels: int) -> None:
        super().__init__()
        self.half = channels // 2
        self.pre = nn.Conv1d(channels // 2, hidden, 1)
        self.enc = WaveNet(hidden, speaker_channels)
        self.post = nn.Conv1d(hidden, channels // 2, 1)

    def forward(self, x: Tensor, speaker: Tensor) -> Tensor:
        first, second = x.split(self.half, dim=1)
        mean = self.post(self.enc(self.pre(first), speaker))
        return torch.cat([first, second - mean], dim=1)


class Flow(nn.Module):
    """Couplings and flips of all channels, in reverse order. In the file, every second flow is a flip: no numbers."""

    def __init__(self, channels: int, hidden: int, speaker_channels: int) -> None:
        super().__init__()
        self.flows = nn.ModuleList(
            nn.Identity() if place % 2 else Coupling(channels, hidden, speaker_channels)
            for place in range(2 * COUPLINGS)
        )

    def forward(self, latent: Tensor, speaker: Tensor) -> Tensor:
        for place in reversed(range(0, 2 * COUPLINGS, 2)):
            latent = self.flows[place](latent.flip(1), speaker)
        return latent

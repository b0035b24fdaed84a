"""RMVPE, the pitch network: a log-mel picture in, 360 pitch activations a frame out.

Wei et al. 2023, arXiv 2306.15412; sizes and names as in the public `rmvpe.pt` of RVC-Project (MIT). A U-Net over time
and mel, then a bidirectional GRU. Checkpoints are read by `models.convert.voice_networks`.
"""

import torch
from torch import Tensor, nn

MELS = 128
BINS = 360
STAGES = 5
BLOCKS = 4
FIRST_CHANNELS = 16
GRU_WIDTH = 256


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each normalized and rectified, then the input added (by a 1x1 where the widths differ)."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(narrow, wide, 3, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
        )
        if narrow != wide:
            self.shortcut = nn.Conv2d(narrow, wide, 1)
        self._same = narrow == wide

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + (x if self._same else self.shortcut(x))


class Stage(nn.Module):
    """Residual blocks one after the other; the first changes the width."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.conv = nn.ModuleList(ResidualBlock(wide if number else narrow, wide) for number in range(BLOCKS))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.conv:
            x = block(x)
        return x


class Encoder(nn.Module):
    """Halves time and mel after each stage; what each stage gave before that is kept for the decoder."""

    def __init__(self) -> None:
        super().__init__()
        widths = [1, *(FIRST_CHANNELS << stage for stage in range(STAGES))]
        self.bn = nn.BatchNorm2d(1)
        self.layers = nn.ModuleList(Stage(narrow, wide) for narrow, wide in zip(widths, widths[1:], strict=False))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        kept = []
        x = self.bn(x)
        for layer in self.layers:
            x = layer(x)
            kept.append(x)
            x = nn.functional.avg_pool2d(x, 2)
        return x, kept


class Intermediate(nn.Module):
    """The bottom of the U: stages without pooling."""

    def __init__(self) -> None:
        super().__init__()
        wide = FIRST_CHANNELS << STAGES
        self.layers = nn.ModuleList(Stage(wide if number else wide // 2, wide) for number in range(BLOCKS))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class UpStage(nn.Module):
    """Doubles time and mel, joins what the encoder kept, then residual blocks."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.ConvTranspose2d(wide, narrow, 3, stride=2, padding=1, output_padding=1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
        )
        self.conv2 = nn.ModuleList(ResidualBlock(narrow if number else 2 * narrow, narrow) for number in range(BLOCKS))

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        x = torch.cat([self.conv1(x), kept], dim=1)
        for block in self.conv2:
            x = block(x)
        return x


class UpStages(nn.Module):
    """The way up, deepest first."""

    def __init__(self) -> None:
        super().__init__()
        widths = [FIRST_CHANNELS << stage for stage in range(STAGES, -1, -1)]
        self.layers = nn.ModuleList(UpStage(wide, narrow) for wide, narrow in zip(widths, widths[1:], strict=False))

    def forward(self, x: Tensor, kept: list[Tensor]) -> Tensor:
        for layer, level in zip(self.layers, reversed(kept), strict=True):
            x = layer(x, level)
        return x


class UNet(nn.Module):
    """The three parts by their names in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.intermediate = Intermediate()
        self.decoder = UpStages()

    def forward(self, x: Tensor) -> Tensor:
        x, kept = self.encoder(x)
        return self.decoder(self.intermediate(x), kept)


class Recurrence(nn.Module):
    """The bidirectional GRU under its name in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3 * MELS, GRU_WIDTH, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        hidden, _ = self.gru(x)
        return hidden


class RmvpeNetwork(nn.Module):
    """Log mel [B, 128, T], T a multiple of 32, to salience [B, T, 360] in (0, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = UNet()
        self.cnn = nn.Conv2d(FIRST_CHANNELS, 3, 3, padding=1)
        self.fc = nn.Sequential(Recurrence(), nn.Linear(2 * GRU_WIDTH, BINS), nn.Dropout(0.25), nn.Sigmoid())

    def forward(self, log_mel: Tensor) -> Tensor:
        picture = log_mel.transpose(1, 2).unsqueeze(1)
        seen = self.cnn(self.unet(picture)).transpose(1, 2)
        return self.fc(seen.reshape(-1, int(seen.shape[1]), int(seen.shape[2]) * int(seen.shape[3])))


def norm_axis(_layer: str) -> None:
    """No layer of RMVPE is weight-normalized."""

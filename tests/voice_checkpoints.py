"""Voice files in RVC's exact layout with weights of no person: random numbers of a sound size, the same each time.

Import it after `pytest.importorskip("torch")`.
"""

import math
from pathlib import Path
from typing import Any

import torch

from models.convert import weights
from models.convert.rvc_checkpoint import FEATURE_WIDTHS, UPSAMPLING, norm_axis
from models.convert.rvc_network import RvcNetwork, RvcShape

SPEAKERS = 3


def shape(sample_rate_hz: int = 40000, version: str = "v2", speakers: int = SPEAKERS) -> RvcShape:
    """The sizes of one of RVC's voices."""
    rates, kernels = UPSAMPLING[(sample_rate_hz, version)]
    return RvcShape(
        feature_width=FEATURE_WIDTHS[version],
        channels=192,
        hidden=192,
        inner=768,
        heads=2,
        layers=6,
        kernel=3,
        block_kernels=(3, 7, 11),
        block_dilations=((1, 3, 5),) * 3,
        rates=rates,
        initial=512,
        up_kernels=kernels,
        speakers=speakers,
        speaker_channels=256,
        sample_rate_hz=sample_rate_hz,
    )


def random_weights(network: torch.nn.Module, axis: weights.NormAxis) -> dict[str, torch.Tensor]:
    """Half-precision tensors under the names of the file; signals neither die nor blow up in them."""
    random = torch.Generator().manual_seed(5)
    made = {}
    for name, size in weights.expected(network, axis).items():
        if name.endswith("num_batches_tracked"):
            made[name] = torch.tensor(0)
            continue
        fan_in = max(1, math.prod(size[1:]))
        value = torch.randn(size, generator=random) / math.sqrt(fan_in)
        if name.endswith(("gamma", "weight_g", "running_var", "norm.weight")) or (len(size) == 1 and "weight" in name):
            value = 1 + 0.05 * torch.rand(size, generator=random)
        elif len(size) == 1:
            value = 0.02 * value
        made[name] = value.half()
    return made


def checkpoint(sample_rate_hz: int = 40000, version: str = "v2") -> dict[str, Any]:
    """What RVC saves: weights, 18 values of configuration, and what they are."""
    sizes = shape(sample_rate_hz, version)
    with torch.device("meta"):
        network = RvcNetwork(sizes)
    blocks = [list(sizes.block_kernels), [list(dilations) for dilations in sizes.block_dilations]]
    decoder = [list(sizes.rates), sizes.initial, list(sizes.up_kernels)]
    config = [1025, 32, 192, 192, 768, 2, 6, 3, 0, "1", *blocks, *decoder, 109, 256, sample_rate_hz]
    return {
        "weight": random_weights(network, norm_axis),
        "config": config,
        "info": "20epoch",
        "sr": f"{sample_rate_hz // 1000}k",
        "f0": 1,
        "version": version,
    }


def voice_file(folder: Path, contents: dict[str, Any] | None = None, name: str = "voice.pth") -> Path:
    """Saved as RVC does it."""
    path = folder / name
    torch.save(checkpoint() if contents is None else contents, path)
    return path

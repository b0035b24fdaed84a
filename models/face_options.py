"""What an operator may choose of the neural face engine; made of the configuration, handed to the lane's worker."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.graph_opener import GpuRuntime

SwapperChoice = Literal["auto", "inswapper", "hyperswap"]
"""`auto` is InSwapper, and HyperSwap where only that is in the store."""
MaskChoice = Literal["off", "occlusion", "mouth", "both"]
"""Which masks may let the caller's own picture show: what lies before the face, the inside of the mouth."""

EnhancerChoice = Literal["auto", "off", "codeformer", "gpen-256", "gfpgan"]
"""`auto`: all that are in the store, on a GPU; never on a CPU, where a face takes from a fifth of a second to ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceOptions:
    """All of it has a default, which needs no more than the four files that the specification names."""

    swapper: SwapperChoice = "auto"
    masks: MaskChoice = "occlusion"
    enhancer: EnhancerChoice = "auto"
    gpu_runtime: GpuRuntime = "cuda"
    cache: Path | None = None
    """For what is made once: TensorRT's engines, the CPU's answers that a GPU's are compared with."""

"""CodeFormer in torch on a GPU without TensorRT: half precision, channels last. An enhancer; made by `enhancer_choice`.

ONNX Runtime's CUDA provider takes 100 to 160 ms a face over it. The one module of the server that imports torch, only
when it is asked to open and only where the operator has installed it with CUDA.
"""

import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.engines import Frame
from models.enhancer_graph import CODEFORMER_KIND, as_pictures
from models.runtime import NetworkError, cuda_version

logger = logging.getLogger(__name__)

AGREE_LEVELS = 6.0
"""Of 255, in the mean, between half and full precision at the start; black or rainbow squares are dozens."""
FULL_WIDTH = 64
BATCHES = (1, 2, 4)
"""Faces of the runs at the start, so that no caller waits for the first of a kind; any other count runs too."""


def torch_has_gpu() -> bool:
    """Whether torch is installed here, sees a CUDA device, and is of the CUDA that ONNX Runtime is of.

    cuDNN is one library by name whatever its CUDA: of two in a process whoever loads second gets the other's.
    """
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    if not torch.cuda.is_available():
        return False
    theirs, ours = str(torch.version.cuda or "").split(".")[0], cuda_version().split(".")[0]
    if ours and theirs != ours:
        logger.warning("CodeFormer does not run in torch: it is of CUDA %s and onnxruntime-gpu of %s", theirs, ours)
        return False
    return True


class TorchCodeFormer:
    """A `models.enhancer.Enhancer` that runs the checkpoint. Used by the one thread that made it."""

    def __init__(self, path: Path, *, device: str = "cuda", half: bool = True, width: int = FULL_WIDTH) -> None:
        """Load and warm up. Raises `NetworkError` for another file, and when half precision answers otherwise."""
        # Only here: a server without this enhancer never imports torch.
        import torch

        from models.convert.codeformer_network import load_codeformer

        self._torch: Any = torch
        self._device = device
        self._stream: Any = _own_stream(device)
        self._dtype: Any = torch.float32
        with torch.cuda.stream(self._stream):
            self._network: Any = load_codeformer(path, width).to(device).to(memory_format=torch.channels_last)
        if half:
            self._take_half(path)
            self._warm(BATCHES)

    def enhance(self, crops: Sequence[Frame], fidelities: Sequence[float]) -> list[Frame | None]:
        """Restore BGR crops (512, 512, 3); None for nonsense. Raises `NetworkError` when the GPU fails."""
        side = CODEFORMER_KIND.size_px
        blob = cv2.dnn.blobFromImages(list(crops), 1 / 127.5, (side, side), mean=(127.5, 127.5, 127.5), swapRB=True)
        try:
            out = self._run(blob, np.asarray(fidelities, np.float32).reshape(-1, 1, 1, 1))
        except RuntimeError as error:  # torch.cuda's own errors are such
            raise NetworkError(f"CodeFormer failed in torch: {str(error).splitlines()[0][:200]}") from error
        return as_pictures(out)

    def _run(self, blob: Any, shares: Any) -> Any:
        torch = self._torch
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            given = torch.from_numpy(blob).to(self._device, self._dtype).contiguous(memory_format=torch.channels_last)
            out = self._network(given, torch.from_numpy(shares).to(self._device, self._dtype))
            return out.float().cpu().numpy()

    def _warm(self, batches: Sequence[int]) -> None:
        side = CODEFORMER_KIND.size_px
        for count in batches:
            self.enhance([np.full((side, side, 3), 128, np.uint8)] * count, [0.75] * count)

    def _take_half(self, path: Path) -> None:
        """Go over to half precision, if its answer to a soft picture is that of the full one."""
        coarse = np.random.default_rng(7).integers(0, 256, (16, 16, 3), np.uint8)
        side = CODEFORMER_KIND.size_px
        picture = np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
        (full,) = self.enhance([picture], [0.75])
        with self._torch.cuda.stream(self._stream):
            self._network, self._dtype = self._network.half(), self._torch.float16
        (short,) = self.enhance([picture], [0.75])
        if full is None or short is None:
            which = "half" if short is None else "full"
            raise NetworkError(f"{path} gives numbers that are not finite, or a single colour, in {which} precision.")
        apart = float(np.abs(full.astype(np.int16) - short).mean())
        if apart > AGREE_LEVELS:
            raise NetworkError(f"{path} in half precision is {apart:.0f} of 255 away from itself in full precision.")


def _own_stream(device: str) -> Any:
    """On a GPU a stream that the other networks' copies do not wait for, as they do for CUDA's default one."""
    import torch

    return torch.cuda.Stream(device) if torch.device(device).type == "cuda" else None

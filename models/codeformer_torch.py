"""CodeFormer in torch on a GPU without TensorRT: half precision, channels last. An enhancer; made by `enhancer_choice`.

ONNX Runtime's CUDA provider takes 100 to 160 ms a face over it. The one module of the server that imports torch, only
when it is asked to open and only where the operator has installed it with CUDA.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.engines import Frame
from models.enhancer_graph import CODEFORMER_KIND, as_pictures
from models.runtime import NetworkError

AGREE_LEVELS = 6.0
"""Of 255, in the mean, between half and full precision at the start; black or rainbow squares are dozens."""
FULL_WIDTH = 64


def torch_has_gpu() -> bool:
    """Whether torch is installed here and sees a CUDA device."""
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


class TorchCodeFormer:
    """A `models.enhancer.Enhancer` that runs the checkpoint. Used by the one thread that made it."""

    def __init__(self, path: Path, *, device: str = "cuda", half: bool = True, width: int = FULL_WIDTH) -> None:
        """Load and warm up. Raises `NetworkError` for another file, and when half precision answers otherwise."""
        # Only here: a server without this enhancer never imports torch.
        import torch

        from models.convert.codeformer_network import load_codeformer

        self._torch: Any = torch
        self._device = device
        self._dtype: Any = torch.float32
        self._network: Any = load_codeformer(path, width).to(device).to(memory_format=torch.channels_last)
        if half:
            self._take_half(path)

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
        given = torch.from_numpy(blob).to(self._device, self._dtype).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            out = self._network(given, torch.from_numpy(shares).to(self._device, self._dtype))
        return out.float().cpu().numpy()

    def _take_half(self, path: Path) -> None:
        """Go over to half precision, if its answer to a soft picture is that of the full one."""
        coarse = np.random.default_rng(7).integers(0, 256, (16, 16, 3), np.uint8)
        side = CODEFORMER_KIND.size_px
        picture = np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
        (full,) = self.enhance([picture], [0.75])
        self._network, self._dtype = self._network.half(), self._torch.float16
        (short,) = self.enhance([picture], [0.75])
        if full is None or short is None:
            which = "half" if short is None else "full"
            raise NetworkError(f"{path} gives numbers that are not finite, or a single colour, in {which} precision.")
        apart = float(np.abs(full.astype(np.int16) - short).mean())
        if apart > AGREE_LEVELS:
            raise NetworkError(f"{path} in half precision is {apart:.0f} of 255 away from itself in full precision.")

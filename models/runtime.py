"""The inference runtime: the only module that imports LiteRT. Networks are loaded and run here, on one thread each.

Detectors and landmarkers take a `Network` and know nothing of what runs it.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

Tensor = NDArray[np.float32]
Shape = tuple[int, ...]


class NetworkError(RuntimeError):
    """A network cannot be loaded or gives nonsense; `sentence` says what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Network(Protocol):
    """A network of one input and named outputs, float32, fixed shapes. Not to be called by two threads at once."""

    input_shape: Shape
    output_shapes: dict[str, Shape]

    def run(self, tensor: Tensor) -> dict[str, Tensor]:
        """Outputs by name, owned by the caller. `tensor` must have `input_shape`."""


class LiteRTNetwork:
    """A .tflite file on LiteRT. Checked at load: it parses, is float32, and a run on zeros gives finite numbers."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        try:
            self._interpreter = _load(path, threads)
        except (ValueError, RuntimeError) as error:  # what LiteRT raises for a file it cannot parse or prepare
            raise NetworkError(f"{path} is not a network that LiteRT can run; delete it and fetch it again.") from error
        (given,) = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        if any(detail["dtype"] is not np.float32 for detail in (given, *outputs)):
            raise NetworkError(f"{path} is not a float32 network; the catalogue and this release do not match.")
        self._input: int = given["index"]
        self._outputs: dict[str, int] = {detail["name"]: detail["index"] for detail in outputs}
        self.input_shape: Shape = _shape(given)
        self.output_shapes: dict[str, Shape] = {detail["name"]: _shape(detail) for detail in outputs}
        if not all(np.isfinite(out).all() for out in self.run(np.zeros(self.input_shape, np.float32)).values()):
            raise NetworkError(f"{path} gives numbers that are not finite on this machine; reinstall ai-edge-litert.")

    def run(self, tensor: Tensor) -> dict[str, Tensor]:
        """Outputs by name; they are copies, since LiteRT's own buffers change with the next run."""
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}


def _load(path: Path, threads: int) -> Any:
    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def _shape(detail: dict[str, Any]) -> Shape:
    return tuple(int(size) for size in detail["shape"])

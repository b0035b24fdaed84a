"""A torch network as an ONNX graph whose weights lie in a file beside it, shared by all graphs of the folder.

What several graphs of a folder have in common is stored once, by content. Called by the importers of voices and
networks. TorchScript's exporter is used because it needs no further package; torch is pinned exactly, so it stays.
"""

import hashlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

OPSET = 17
WEIGHTS_NAME = "weights.bin"
SHARED_FROM_BYTES = 1024
ALIGNMENT = 4096
"""The weights can be mapped page by page (what onnxruntime does on Linux)."""


class SharedWeights:
    """The one file of numbers in `folder`. The same bytes are written once, whoever brings them."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / WEIGHTS_NAME
        self._places: dict[str, tuple[int, int]] = {}
        self._end = 0

    def take(self, graph: onnx.ModelProto) -> None:
        """Move the large constants of `graph` into the file."""
        with self._path.open("ab") as file:
            for tensor in graph.graph.initializer:
                if len(tensor.raw_data) >= SHARED_FROM_BYTES:
                    offset, length = self._place(file, tensor.raw_data)
                    _point_to(tensor, offset, length)

    def _place(self, file: io.BufferedWriter, data: bytes) -> tuple[int, int]:
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._places:
            padding = -self._end % ALIGNMENT
            file.write(bytes(padding) + data)
            self._places[digest] = (self._end + padding, len(data))
            self._end += padding + len(data)
        return self._places[digest]


OpenSizes = Mapping[str, Mapping[int, str]]
"""Axes of inputs and outputs that stay open, by the name of the tensor, and what they are called."""


def export(
    network: nn.Module,
    given: Mapping[str, Tensor],
    output: str,
    path: Path,
    shared: SharedWeights,
    sizes: OpenSizes | None = None,
) -> None:
    """Write `network` for inputs of these shapes, but for the open sizes, to `path`, the weights beside it."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # sizes that are not open are constants of the graph, on purpose
        torch.onnx.export(
            network,
            tuple(given.values()),
            buffer,
            input_names=list(given),
            output_names=[output],
            opset_version=OPSET,
            dynamic_axes=dict(sizes or {}),
            dynamo=False,
        )
    graph = onnx.load_from_string(buffer.getvalue())
    _start_from_zero(graph)
    shared.take(graph)
    path.write_bytes(graph.SerializeToString())


def _start_from_zero(model: onnx.ModelProto) -> None:
    """Leave out the states that recurrences begin with: zeros as many as there are windows, which is the default.

    With them go the last nodes that ask for a size. A GPU's graph must have none: they are computed on the CPU.
    """
    graph = model.graph
    for node in graph.node:
        if node.op_type == "GRU":
            node.input[5] = ""
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    while unread := [node for node in graph.node if not read.intersection(node.output)]:
        for node in unread:
            graph.node.remove(node)
        read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}


def _point_to(tensor: onnx.TensorProto, offset: int, length: int) -> None:
    """Replace the bytes of a constant by where they lie (ONNX's external data)."""
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", WEIGHTS_NAME), ("offset", str(offset)), ("length", str(length))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value

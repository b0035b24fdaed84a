"""Reads and edits what the runtime does not show of an .onnx file: its last constant, and a batch that is fixed at one.

Only the few fields of onnx.proto that matter are read (`models.protobuf`), so that the server needs neither the onnx
package nor a second copy of half a gigabyte. Called by `models.inswapper`.
"""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.protobuf import BYTES, fields, varints
from models.runtime import NetworkError

BATCH_NAME = b"N"
_MODEL_GRAPH = 7
_GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE_INFO = 5, 11, 12, 13
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_RAW, _TENSOR_EXTERNAL = 1, 2, 4, 9, 13
_DIM_VALUE, _DIM_NAME = 1, 2
_TYPE_PATH = (2, 1, 2)  # ValueInfoProto.type -> TypeProto.tensor_type -> Tensor.shape
_SHAPE_DIM = 1
_RAW_DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 10: np.dtype("<f2")}


def last_initializer(path: Path) -> NDArray[np.float32]:
    """The last constant of the graph, in its shape, as float32.

    InSwapper keeps its matrix of identities there, and no node uses it. Raises `NetworkError` for a file without one.
    """
    if not path.is_file():
        raise NetworkError(f"{path} is not there: `mirage-rtc models fetch {path.name}` gets it.")
    try:
        return _tensor(_last(_mapped(path)))
    except (IndexError, ValueError, OverflowError) as error:
        sentence = (
            f"{path} ends in no matrix of float32 or float16 ({error}); `mirage-rtc models verify {path.name}` says "
            "whether it is the pinned file."
        )
        raise NetworkError(sentence) from None


def with_open_batch(content: bytes) -> bytes:
    """The same model with the first size of every graph input and output left open, so that it takes several faces.

    Recorded shapes inside the graph are dropped: the runtime infers them again. Constants and their order stay.
    """
    parts: list[bytes | memoryview] = []
    for number, kind, value in fields(memoryview(content)):
        if number == _MODEL_GRAPH:
            graph = _opened_graph(value)
            parts += [_key(number, BYTES), _varint(sum(map(len, graph))), *graph]
        else:
            parts += _written(number, kind, value)
    return b"".join(parts)


def _mapped(path: Path) -> memoryview:
    """The file without reading it; unmapped when the last view of it goes."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _opened_graph(graph: memoryview) -> list[bytes | memoryview]:
    parts: list[bytes | memoryview] = []
    for number, kind, value in fields(graph):
        if number == _GRAPH_VALUE_INFO:
            continue
        if number in {_GRAPH_INPUT, _GRAPH_OUTPUT}:
            value = memoryview(_opened(value, _TYPE_PATH))
        parts += _written(number, kind, value)
    return parts


def _opened(message: memoryview, path: tuple[int, ...]) -> bytes:
    """The message with the first dimension of the shape that `path` leads to replaced by a name."""
    parts: list[bytes | memoryview] = []
    first = True
    for number, kind, value in fields(message):
        if path and number == path[0]:
            value = memoryview(_opened(value, path[1:]))
        elif not path and number == _SHAPE_DIM and first:
            first = False
            value = memoryview(b"".join(_written(_DIM_NAME, BYTES, memoryview(BATCH_NAME))))
        parts += _written(number, kind, value)
    return b"".join(parts)


def _last(model: memoryview) -> memoryview:
    graph = next((value for number, _, value in fields(model) if number == _MODEL_GRAPH), None)
    if graph is None:
        raise ValueError("no graph")
    found = None
    for number, _, value in fields(graph):
        found = value if number == _GRAPH_INITIALIZER else found
    if found is None:
        raise ValueError("no constant")
    return found


def _tensor(message: memoryview) -> NDArray[np.float32]:
    """A TensorProto of float32 or float16 with its numbers inside the file; copied out of it."""
    sizes: list[int] = []
    dtype: np.dtype[Any] = np.dtype("<f4")
    numbers: memoryview | None = None
    for number, kind, value in fields(message):
        if number == _TENSOR_DIMS:
            sizes += varints(value)
        elif number == _TENSOR_TYPE:
            dtype = _RAW_DTYPES.get(varints(value)[0], np.dtype("V1"))
        elif number == _TENSOR_RAW or (number == _TENSOR_FLOATS and kind == BYTES):
            numbers = value
        elif number == _TENSOR_EXTERNAL:
            raise ValueError("its numbers are in another file")
    if numbers is None or dtype.kind != "f":
        raise ValueError("it is of another type")
    return np.frombuffer(numbers, dtype).reshape(sizes).astype(np.float32)


def _written(number: int, kind: int, value: memoryview) -> list[bytes | memoryview]:
    length = [_varint(len(value))] if kind == BYTES else []
    return [_key(number, kind), *length, value]


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

"""Reads and edits what the runtime does not show of an .onnx file: its last constant, and a batch that is fixed at one.

A reader of the protobuf wire format (protobuf.dev, "Encoding") for the few fields of onnx.proto that matter, so that
the server needs neither the onnx package nor a second copy of half a gigabyte. Called by `models.inswapper`.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.runtime import NetworkError

BATCH_NAME = b"N"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH = 7
_GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE_INFO = 5, 11, 12, 13
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_RAW, _TENSOR_EXTERNAL = 1, 2, 4, 9, 13
_DIM_VALUE, _DIM_NAME = 1, 2
_TYPE_PATH = (2, 1, 2)  # ValueInfoProto.type -> TypeProto.tensor_type -> Tensor.shape
_SHAPE_DIM = 1
_RAW_DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 10: np.dtype("<f2")}

Field = tuple[int, int, memoryview]
"""Number, wire type, and the bytes of the value: without its length for a message or bytes."""


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
    for number, kind, value in _fields(memoryview(content)):
        if number == _MODEL_GRAPH:
            graph = _opened_graph(value)
            parts += [_key(number, _BYTES), _varint(sum(map(len, graph))), *graph]
        else:
            parts += _written(number, kind, value)
    return b"".join(parts)


def _mapped(path: Path) -> memoryview:
    """The file without reading it; unmapped when the last view of it goes."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _opened_graph(graph: memoryview) -> list[bytes | memoryview]:
    parts: list[bytes | memoryview] = []
    for number, kind, value in _fields(graph):
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
    for number, kind, value in _fields(message):
        if path and number == path[0]:
            value = memoryview(_opened(value, path[1:]))
        elif not path and number == _SHAPE_DIM and first:
            first = False
            value = memoryview(b"".join(_written(_DIM_NAME, _BYTES, memoryview(BATCH_NAME))))
        parts += _written(number, kind, value)
    return b"".join(parts)


def _last(model: memoryview) -> memoryview:
    graph = next((value for number, _, value in _fields(model) if number == _MODEL_GRAPH), None)
    if graph is None:
        raise ValueError("no graph")
    found = None
    for number, _, value in _fields(graph):
        found = value if number == _GRAPH_INITIALIZER else found
    if found is None:
        raise ValueError("no constant")
    return found


def _tensor(message: memoryview) -> NDArray[np.float32]:
    """A TensorProto of float32 or float16 with its numbers inside the file; copied out of it."""
    sizes: list[int] = []
    dtype: np.dtype[Any] = np.dtype("<f4")
    numbers: memoryview | None = None
    for number, kind, value in _fields(message):
        if number == _TENSOR_DIMS:
            sizes += _varints(value)
        elif number == _TENSOR_TYPE:
            dtype = _RAW_DTYPES.get(_varints(value)[0], np.dtype("V1"))
        elif number == _TENSOR_RAW or (number == _TENSOR_FLOATS and kind == _BYTES):
            numbers = value
        elif number == _TENSOR_EXTERNAL:
            raise ValueError("its numbers are in another file")
    if numbers is None or dtype.kind != "f":
        raise ValueError("it is of another type")
    return np.frombuffer(numbers, dtype).reshape(sizes).astype(np.float32)


def _fields(message: memoryview) -> Iterator[Field]:
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            end = _read_varint(message, at)[1]
        elif kind == _BYTES:
            size, at = _read_varint(message, at)
            end = at + size
        elif kind in {_FIXED64, _FIXED32}:
            end = at + (8 if kind == _FIXED64 else 4)
        else:
            raise ValueError("not an ONNX file")
        if end > len(message):
            raise ValueError("the file is cut short")
        yield number, kind, message[at:end]
        at = end


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("not an ONNX file")


def _varints(value: memoryview) -> list[int]:
    """The numbers of a repeated field: one, or several that are packed."""
    numbers, at = [], 0
    while at < len(value):
        number, at = _read_varint(value, at)
        numbers.append(number)
    return numbers


def _written(number: int, kind: int, value: memoryview) -> list[bytes | memoryview]:
    length = [_varint(len(value))] if kind == _BYTES else []
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

"""Reads a stranger's .onnx file before ONNX Runtime does, and refuses all that a plain network has no need of.

ONNX Runtime folds constants and reads outside files while it loads, so a file is looked at first, as bytes: size,
version, plain operators of ONNX only (no loops, no branches, no graphs inside nodes, no functions, no other domains),
constants that are in the file and as large as they say. Called by `models.ready_network`.
"""

import math
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from models.protobuf import BYTES, VARINT, fields, varints
from models.voice_refusal import VoiceRefused

MAX_BYTES = 512 << 20
MAX_NODES = 20_000
MAX_TENSORS = 20_000
MAX_DIMENSIONS = 8
IR_VERSIONS = range(3, 14)
OPSETS = range(9, 26)

OPERATORS = frozenset(
    {"Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "Conv"}
    | {"ConvTranspose", "Div", "Dropout", "Equal", "Expand", "Flatten", "GRU", "Gather", "Gemm", "Identity"}
    | {"LeakyRelu", "MatMul", "Max", "Min", "Mul", "Neg", "Pad", "Pow", "ReduceMean", "Relu", "Reshape", "Shape"}
    | {"Sigmoid", "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where"}
)
"""What exporters make of convolutions, norms and a recurrence. None of them loops, reads a file or holds a graph."""

# Numbers of onnx.proto (onnx/onnx, Apache-2.0).
_IR_VERSION, _GRAPH, _OPSET, _TRAINING, _FUNCTIONS = 1, 7, 8, 20, 25
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_NODE, _CONSTANT, _SPARSE_CONSTANT = 1, 5, 15
_OPERATOR, _ATTRIBUTE, _DOMAIN = 4, 5, 7
_VALUE_TENSOR, _VALUE_TENSORS = 5, 10
_VALUE_GRAPHS = frozenset({6, 11, 14, 15, 22, 23})
"""A graph, graphs, types and sparse tensors in an attribute."""
_DIMS, _TYPE, _RAW, _OUTSIDE, _PLACE = 1, 2, 9, 13, 14
_WIDTHS = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}
"""Bytes of one value by type: float32, uint8, int8, int32, int64, bool, float16, float64."""
_FIXED_LISTS = {4: 4, 10: 8}
"""Fields that hold float32 and float64 one after the other, and their widths."""
_VARINT_LISTS = frozenset({5, 7})
_OWN_DOMAINS = frozenset({b"", b"ai.onnx"})


def check(path: Path) -> None:
    """Raises `VoiceRefused` "graph_unreadable", "graph_size", "graph_damaged" or "graph_format"; nothing is run."""
    model = _mapped(path)
    try:
        why = next(_faults(model), "")
    except (ValueError, IndexError, OverflowError):
        raise VoiceRefused("graph_damaged", f"{path.name} is no ONNX file, or it is cut off: get it again.") from None
    if why:
        raise VoiceRefused("graph_format", f"{path.name} {why}: it is refused and none of it was run.")


def _mapped(path: Path) -> memoryview:
    """The file without reading it; unmapped when the last view of it goes."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                sentence = f"{path.name} is larger than {MAX_BYTES >> 20} MB, the most that such a network has."
                raise VoiceRefused("graph_size", sentence)
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:  # ValueError: it is empty
        sentence = f"{path} cannot be read ({error}): check the path and its permissions."
        raise VoiceRefused("graph_unreadable", sentence) from None


def _faults(model: memoryview) -> Iterator[str]:
    graphs, opsets = [], 0
    for number, kind, value in fields(model):
        if number == _IR_VERSION and varints(value)[0] not in IR_VERSIONS:
            yield "is of a version of ONNX that is not known here"
        elif number == _OPSET:
            opsets += 1
            yield from _opset_faults(value)
        elif number in {_TRAINING, _FUNCTIONS}:
            yield "brings functions or training of its own"
        elif number == _GRAPH and kind == BYTES:
            graphs.append(value)
    if len(graphs) != 1 or opsets != 1:
        yield "does not hold one graph for one set of operators"
    for graph in graphs:
        yield from _graph_faults(graph)


def _opset_faults(opset: memoryview) -> Iterator[str]:
    for number, _, value in fields(opset):
        if number == _OPSET_DOMAIN and bytes(value) not in _OWN_DOMAINS:
            yield f"asks for operators of {_shown(value)}"
        if number == _OPSET_VERSION and varints(value)[0] not in OPSETS:
            yield "asks for a set of operators that is not known here"


def _graph_faults(graph: memoryview) -> Iterator[str]:
    nodes = tensors = 0
    for number, _, value in fields(graph):
        if number == _NODE:
            nodes += 1
            yield from _node_faults(value)
        elif number == _CONSTANT:
            tensors += 1
            yield from _tensor_faults(value)
        elif number == _SPARSE_CONSTANT:
            yield "holds sparse constants"
        if nodes > MAX_NODES or tensors > MAX_TENSORS:
            yield "has more parts than such a network has"
    if not nodes:
        yield "computes nothing"


def _node_faults(node: memoryview) -> Iterator[str]:
    for number, _, value in fields(node):
        if number == _OPERATOR and bytes(value).decode("ascii", "replace") not in OPERATORS:
            yield f"uses the operator {_shown(value)}, which RMVPE has no need of"
        elif number == _DOMAIN and bytes(value) not in _OWN_DOMAINS:
            yield f"uses an operator of {_shown(value)}"
        elif number == _ATTRIBUTE:
            yield from _attribute_faults(value)


def _attribute_faults(attribute: memoryview) -> Iterator[str]:
    for number, _, value in fields(attribute):
        if number in _VALUE_GRAPHS:
            yield "holds a graph inside a node"
        elif number in {_VALUE_TENSOR, _VALUE_TENSORS}:
            yield from _tensor_faults(value)


def _tensor_faults(tensor: memoryview) -> Iterator[str]:
    """A constant is in the file and of the size that it says, before anybody makes room for it."""
    dims: list[int] = []
    width = held = 0
    for number, kind, value in fields(tensor):
        if number == _DIMS:
            dims += varints(value)
        elif number == _TYPE:
            width = _WIDTHS.get(varints(value)[0], 0)
        elif number == _OUTSIDE or (number == _PLACE and varints(value)[0]):
            yield "keeps its numbers in another file"
        elif number == _RAW:
            held += len(value)
        elif number in _FIXED_LISTS:
            held += len(value) // _FIXED_LISTS[number] * width
        elif number in _VARINT_LISTS:
            held += (1 if kind == VARINT else len(varints(value))) * width
    if not width:
        yield "holds constants that are no plain numbers"
    elif len(dims) > MAX_DIMENSIONS or held != math.prod(dims) * width:
        yield "says of a constant that it is larger or smaller than it is"


def _shown(value: memoryview) -> str:
    text = bytes(value[:40]).decode("ascii", "replace")
    return "".join(letter if letter.isalnum() or letter in "._-" else "?" for letter in text)

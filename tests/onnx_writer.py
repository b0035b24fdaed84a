"""Writes .onnx files without the onnx package: protobuf by hand, opset 11. Graphs of the tests are made with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_TYPES = {"float32": 1, "int64": 7, "float16": 10}
Attribute = int | float | str | Sequence[int]


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field_number: int, value: int) -> bytes:
    return _varint(field_number << 3) + _varint(value)


def _block(field_number: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field_number << 3 | 2) + _varint(len(data)) + data


def tensor(name: str, value: NDArray[np.generic]) -> bytes:
    """A TensorProto with raw data."""
    head = b"".join(_number(1, size) for size in value.shape) + _number(2, _TYPES[value.dtype.name])
    return head + _block(8, name) + _block(9, np.ascontiguousarray(value).tobytes())


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, str):
        return _block(1, name) + _block(4, value) + _number(20, 3)
    if isinstance(value, float):
        return _block(1, name) + _varint(2 << 3 | 5) + np.float32(value).tobytes() + _number(20, 1)
    if isinstance(value, int):
        return _block(1, name) + _number(3, value) + _number(20, 2)
    return _block(1, name) + b"".join(_number(8, item) for item in value) + _number(20, 7)


def _value(name: str, shape: Sequence[int | str], dtype: str) -> bytes:
    sizes = [_number(1, size) if isinstance(size, int) else _block(2, size) for size in shape]
    described = _number(1, _TYPES[dtype]) + _block(2, b"".join(_block(1, size) for size in sizes))
    return _block(1, name) + _block(2, _block(1, described))


@dataclass(slots=True)
class GraphWriter:
    """Collects nodes and constants, then gives the bytes of a model. Values are named after their nodes."""

    nodes: list[bytes] = field(default_factory=list)
    constants: list[bytes] = field(default_factory=list)
    values: dict[int, list[bytes]] = field(default_factory=lambda: {11: [], 12: []})

    def input(self, name: str, shape: Sequence[int | str], dtype: str = "float32") -> str:
        """Declare an input; a size may be a name."""
        self.values[11].append(_value(name, shape, dtype))
        return name

    def output(self, name: str, shape: Sequence[int | str], dtype: str = "float32") -> None:
        """Declare an output of some node's name."""
        self.values[12].append(_value(name, shape, dtype))

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """An initializer, in the order of the calls."""
        self.constants.append(tensor(name, value))
        return name

    def node(self, kind: str, inputs: Sequence[str], name: str = "", **attributes: Attribute) -> str:
        """A node of one output; returns the output's name."""
        out = name or f"{kind}_{len(self.nodes)}"
        described = b"".join(_block(5, _attribute(key, value)) for key, value in attributes.items())
        self.nodes.append(b"".join(_block(1, one) for one in inputs) + _block(2, out) + _block(4, kind) + described)
        return out

    def model(self, opset: int = 11) -> bytes:
        """The finished file."""
        parts = [_block(1, node) for node in self.nodes] + [_block(2, "test")]
        parts += [_block(5, constant) for constant in self.constants]
        parts += [_block(number, value) for number, values in self.values.items() for value in values]
        return _number(1, 7) + _block(7, b"".join(parts)) + _block(8, _number(2, opset))


def affine_picture(scale: NDArray[np.float32], shift: NDArray[np.float32], size_px: int = 8) -> bytes:
    """A graph `x` (1, 3, n, n) -> `y` = x * scale + shift, of one picture."""
    writer = GraphWriter()
    x = writer.input("x", (1, 3, size_px, size_px))
    scaled = writer.node("Mul", [x, writer.constant("scale", scale)])
    writer.node("Add", [scaled, writer.constant("shift", shift)], "y")
    writer.output("y", (1, 3, size_px, size_px))
    return writer.model()


def constants_of(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """A model whose graph holds these initializers, in order, and one node."""
    writer = GraphWriter()
    x = writer.input("x", (1,))
    writer.node("Identity", [x], "y")
    writer.output("y", (1,))
    for name, value in arrays.items():
        writer.constant(name, value)
    return writer.model()

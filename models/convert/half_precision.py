"""Half precision where a network bears it: its convolutions and matrix products, and what only moves numbers between.

Everything else stays in float32: norms, softmax, exp, tanh and sigmoid, recurrences, the sine source. Whether a network
bears it is measured, see `store_half`: ONNX Runtime's CPU computes half-precision nodes in float32 and rounds nothing
that goes from node to node, so it would let an overflow pass; a graph with explicit roundings shows what a GPU gets,
whose products add up in float32 too. Called by the importers of voices and networks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.convert.onnx_export import SharedWeights
from models.voice_precision import HalfGraph

PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
CARRIERS = frozenset(
    {
        "Add",
        "AveragePool",
        "Concat",
        "Div",
        "Expand",
        "Flatten",
        "Identity",
        "LeakyRelu",
        "Mul",
        "Pad",
        "Relu",
        "Reshape",
    }
    | {"Slice", "Split", "Squeeze", "Sub", "Transpose", "Unsqueeze"}
)
"""Computed in half where all that they take is."""
OF_ANY_TYPE = frozenset({"Shape", "Size"})
LEAST_WEIGHTS = 16
"""A product with fewer numbers than this, such as the level of the sine source, gains nothing and stays as it is."""
LEAST_COSINE = 0.999
"""Between outputs: the difference is 27 dB below the signal at the least, below what the networks themselves add."""

Feeds = Mapping[str, NDArray[np.generic]]
Run = Callable[[Path, Feeds], NDArray[np.float32]]


@dataclass(slots=True)
class _Writer:
    """The nodes of the new graph as they are made, with the casts that were needed so far."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    made: dict[tuple[str, int], str] = field(default_factory=dict)

    def cast(self, name: str, to: int) -> str:
        """The value as float16 or float32."""
        if (name, to) not in self.made:
            self.made[name, to] = f"{name}/{'half' if to == TensorProto.FLOAT16 else 'full'}"
            self.nodes.append(helper.make_node("Cast", [name], [self.made[name, to]], to=to))
        return self.made[name, to]

    def rounded(self, name: str) -> str:
        """The value as float32 with what is lost in half precision lost."""
        return self.cast(self.cast(name, TensorProto.FLOAT16), TensorProto.FLOAT)


def store_half(path: Path, half: Path, shared: SharedWeights, given: Feeds, run: Run) -> HalfGraph:
    """Write the mixed-precision graph of `path` to `half` if its output for `given` stays; how alike the two are."""
    plain = onnx.load(path, load_external_data=False)
    trial = path.with_suffix(".trial")
    trial.write_bytes(rounded(plain).SerializeToString())
    found = cosine(run(path, given), run(trial, given))
    trial.unlink()
    if found < LEAST_COSINE:
        return HalfGraph(cosine=found, stored=False)
    mixed = halved(onnx.load(path))
    shared.take(mixed)
    half.write_bytes(mixed.SerializeToString())
    return HalfGraph(cosine=found, stored=True)


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in mixed precision with the same float32 inputs and outputs; constants are part of `model`."""
    made, half, floats = _planned(model)
    graph, writer, halves = made.graph, _Writer(), set[str]()
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for place, node in enumerate(graph.node):
        inside = place in half
        for number, name in enumerate(node.input):
            if name not in floats or (name in halves) == inside or node.op_type in OF_ANY_TYPE:
                continue
            if inside and name in constants:
                node.input[number] = _half_constant(graph, constants[name])
            else:
                node.input[number] = writer.cast(name, TensorProto.FLOAT16 if inside else TensorProto.FLOAT)
        writer.nodes.append(node)
        halves |= set(node.output) & floats if inside else set()
    for output in graph.output:
        _back_to_full(writer.nodes, output.name, halves)
    return _with_nodes(made, writer.nodes)


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in float32 that rounds wherever the mixed-precision graph would; constants may be outside of `model`."""
    made, half, floats = _planned(model)
    writer = _Writer()
    for place, node in enumerate(made.graph.node):
        if place not in half:
            writer.nodes.append(node)
            continue
        for number, name in enumerate(node.input):
            node.input[number] = writer.rounded(name) if name in floats else name
        outputs = [name for name in node.output if name in floats]
        for number, name in enumerate(node.output):
            node.output[number] = f"{name}/exact" if name in outputs else name
        writer.nodes.append(node)
        for name in outputs:
            lossy = writer.cast(f"{name}/exact", TensorProto.FLOAT16)
            writer.nodes.append(helper.make_node("Cast", [lossy], [name], to=TensorProto.FLOAT))
    return _with_nodes(made, writer.nodes)


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Of the angle between two answers; 0 where one of them is not finite or says nothing."""
    first, second = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second / lengths) if 0 < lengths < np.inf else 0.0


def _planned(model: onnx.ModelProto) -> tuple[onnx.ModelProto, set[int], set[str]]:
    """A copy, the places of its nodes that go to half precision, and the names of all float32 values."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    known = onnx.shape_inference.infer_shapes(model).graph
    described = (*known.value_info, *known.input, *known.output)
    floats = {value.name for value in described if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    constants = {tensor.name: tensor for tensor in known.initializer}
    floats |= {name for name, tensor in constants.items() if tensor.data_type == TensorProto.FLOAT}
    for node in known.node:
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise ValueError("a node holds a graph of its own")
    fixed = constants.keys() | {name for node in known.node if node.op_type == "Constant" for name in node.output}
    half, halves = set[int](), set[str]()
    for place, node in enumerate(known.node):
        taken = [name for name in node.input if name in floats and name not in fixed]
        carried = node.op_type in CARRIERS and bool(taken) and halves.issuperset(taken)
        if (carried or _is_product(node, constants)) and floats.issuperset(node.output):
            half.add(place)
            halves |= set(node.output)
    return made, half | _turned_for_half(known, half, floats), floats


def _turned_for_half(graph: onnx.GraphProto, half: set[int], floats: set[str]) -> set[int]:
    """The places of transpositions that only nodes in half precision read: they too, so that the cast stands before.

    Between a transposition and a product, ONNX Runtime's MatmulTransposeFusion makes of it a node that no GPU can run.
    """
    turned: set[int] = set()
    ends = {value.name for value in graph.output}
    for place in reversed(range(len(graph.node))):
        node = graph.node[place]
        if node.op_type != "Transpose" or place in half or node.output[0] not in floats - ends:
            continue
        readers = {reader for reader, other in enumerate(graph.node) if node.output[0] in other.input}
        turned |= {place} if readers and readers <= half | turned else set()
    return turned


def _is_product(node: onnx.NodeProto, constants: Mapping[str, TensorProto]) -> bool:
    sizes = [int(np.prod(constants[name].dims)) for name in node.input if name in constants]
    return node.op_type in PRODUCTS and (not sizes or max(sizes) >= LEAST_WEIGHTS)


def _half_constant(graph: onnx.GraphProto, constant: TensorProto) -> str:
    name = f"{constant.name}/half"
    if not any(tensor.name == name for tensor in graph.initializer):
        with np.errstate(over="ignore"):  # what does not fit is infinite, as the gate saw it
            values = numpy_helper.to_array(constant).astype(np.float16)
        graph.initializer.append(numpy_helper.from_array(values, name))
    return name


def _back_to_full(nodes: list[onnx.NodeProto], name: str, halves: set[str]) -> None:
    """Give an output of the graph its type back, and those that read it too the half that they expect."""
    if name not in halves:
        return
    for node in nodes:
        for names in (node.input, node.output):
            for number, found in enumerate(names):
                if found == name:
                    names[number] = f"{name}/inner"
    nodes.append(helper.make_node("Cast", [f"{name}/inner"], [name], to=TensorProto.FLOAT))


def _with_nodes(made: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    """The model with these nodes, without constants that none of them reads and without what was known of types."""
    graph = made.graph
    read = {name for node in nodes for name in node.input} | {value.name for value in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    for repeated, values in ((graph.node, list(nodes)), (graph.initializer, kept), (graph.value_info, [])):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        repeated.clear()
        repeated.extend(copies)
    return made

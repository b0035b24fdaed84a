"""Small .onnx files with the inputs and outputs of HyperSwap, XSeg and the face parser, which answer by simple rules.

Real networks of these kinds are the operator's; what is tested with these is the way in, the way out and what is done
with the answers.
"""

from pathlib import Path

import numpy as np

from models.neural_face_catalog import HYPERSWAP_CONTRACT, PARSER_CONTRACT, XSEG_CONTRACT
from models.runtime import OnnxGraph
from tests.onnx_writer import GraphWriter


def hyperswap(batch: int | str = 1) -> bytes:
    """Gives target * -1 (a negative) plus a tenth of the source's first number; the edge is 1 where target red > 0."""
    writer = GraphWriter()
    source = writer.input("source", (batch, 512))
    target = writer.input("target", (batch, 3, 256, 256))
    first = writer.constant("first", np.eye(512, 1, dtype=np.float32) * np.float32(0.1))
    tall = writer.constant("tall", np.array([-1, 1, 1, 1], np.int64))
    shift = writer.node("Reshape", [writer.node("MatMul", [source, first]), tall])
    negative = writer.node("Mul", [target, writer.constant("minus", np.array([-1], np.float32))])
    writer.node("Add", [negative, shift], "output")
    writer.output("output", (batch, 3, 256, 256))
    red = writer.node("Conv", [target, writer.constant("red", np.array([1, 0, 0], np.float32).reshape(1, 3, 1, 1))])
    hard = writer.node("Mul", [red, writer.constant("steep", np.array([1000], np.float32))])
    bounds = [writer.constant(name, np.array(at, np.float32)) for name, at in (("low", 0), ("high", 1))]
    writer.node("Clip", [hard, *bounds], "mask")
    writer.output("mask", (batch, 1, 256, 256))
    return writer.model()


def xseg() -> bytes:
    """Says that a pixel is face by how blue it is."""
    writer = GraphWriter()
    given = writer.input("input", (1, 256, 256, 3))
    blue = writer.constant("blue", np.eye(3, 1, dtype=np.float32))
    writer.node("MatMul", [given, blue], "output")
    writer.output("output", (1, 256, 256, 1))
    return writer.model()


def parser() -> bytes:
    """Scores class 1 (skin) by 0.5 everywhere and class 11 (inner mouth) by the red channel; gives a second output."""
    writer = GraphWriter()
    given = writer.input("input", (1, 3, 512, 512))
    weights = np.zeros((19, 3, 1, 1), np.float32)
    weights[11, 0] = 1
    bias = np.full(19, -9, np.float32)
    bias[1], bias[11] = 0.5, 0
    scored = [given, writer.constant("weights", weights), writer.constant("bias", bias)]
    writer.node("Conv", scored, "output")
    writer.output("output", (1, 19, 512, 512))
    writer.node("Identity", ["output"], "aux")
    writer.output("aux", (1, 19, 512, 512))
    return writer.model()


def hyperswap_graph(batch: int | str = 1) -> OnnxGraph:
    """On ONNX Runtime."""
    return OnnxGraph(Path("hyperswap_1a_256.onnx"), HYPERSWAP_CONTRACT, content=hyperswap(batch))


def xseg_graph() -> OnnxGraph:
    """On ONNX Runtime."""
    return OnnxGraph(Path("xseg_3.onnx"), XSEG_CONTRACT, content=xseg())


def parser_graph() -> OnnxGraph:
    """On ONNX Runtime."""
    return OnnxGraph(Path("bisenet_resnet_34.onnx"), PARSER_CONTRACT, content=parser())

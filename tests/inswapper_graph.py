"""Builds the InSwapper graph of any width out of a golden schema's tensors: the architecture, in our own words.

The public file is withdrawn and not for commercial use; its architecture is ReSwapper's StyleTransferModel (names and
shapes in ../shared/assets/golden), and random weights of full size are right for timing and for parity.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.asset_frames import MODELS
from tests.golden_inputs import tensors
from tests.onnx_writer import GraphWriter

BLOCKS = 6


class InSwapperGraph:
    """One graph being built; `weights` are taken by name, so that each tensor is used once."""

    def __init__(self, weights: dict[str, NDArray[np.generic]]) -> None:
        self._writer = GraphWriter()
        self._weights = weights
        self._style_width = weights["style_blocks.0.conv1.weight"].shape[0]

    def build(self, emap: NDArray[np.float32]) -> bytes:
        """The bytes of the model, with the matrix of identities as the last constant that no node uses."""
        writer = self._writer
        x = self._padded(writer.input("target", (1, 3, 128, 128)), 3)
        writer.input("source", (1, 512))
        for index, (pad, stride) in enumerate(((0, 1), (1, 1), (1, 2), (1, 2))):
            x = self._leaky(self._conv(x, f"target_encoder.{2 * index}", pad, stride))
        for index in range(BLOCKS):
            x = self._style_block(x, f"style_blocks.{index}")
        x = self._leaky(self._conv(self._doubled(x), "decoder.0", 1))
        x = self._leaky(self._conv(self._doubled(x), "decoderPart1.0", 1))
        x = self._leaky(self._conv(x, "decoderPart1.2", 1))
        x = writer.node("Tanh", [self._conv(self._padded(x, 3), "decoderPart2.0", 0)])
        half = self._constant(np.float32(0.5))
        writer.node("Mul", [writer.node("Add", [x, self._constant(np.float32(1))]), half], "output")
        writer.output("output", (1, 3, 128, 128))
        writer.constant("emap", emap)
        return writer.model()

    def _style_block(self, x: str, name: str) -> str:
        inner = self._conv(self._padded(x, 1), f"{name}.conv1", 0)
        inner = self._writer.node("Relu", [self._styled(inner, f"{name}.style1")])
        inner = self._conv(self._padded(inner, 1), f"{name}.conv2", 0)
        return self._writer.node("Add", [x, self._styled(inner, f"{name}.style2")])

    def _styled(self, x: str, name: str) -> str:
        """Normalise each channel, then scale and shift it by what the source says (Huang and Belongie 2017)."""
        node = self._writer.node
        style = node("Gemm", ["source", *self._pair(name)], transB=1)
        tall = node("Reshape", [style, self._constant(np.array([-1, 2 * self._style_width, 1, 1], np.int64))])
        scale, shift = (self._half(tall, part) for part in (0, 1))
        x = node("Sub", [x, node("ReduceMean", [x], axes=[2, 3], keepdims=1)])
        power = node("ReduceMean", [node("Mul", [x, x])], axes=[2, 3], keepdims=1)
        deviation = node("Sqrt", [node("Add", [power, self._constant(np.float32(1e-8))])])
        return node("Add", [node("Mul", [node("Div", [x, deviation]), scale]), shift])

    def _half(self, tall: str, part: int) -> str:
        """The first or second half of the channels."""
        ends = [np.array([edge * self._style_width], np.int64) for edge in (part, part + 1)]
        axis = np.array([1], np.int64)
        return self._writer.node("Slice", [tall, *map(self._constant, (*ends, axis))])

    def _conv(self, x: str, name: str, pad: int, stride: int = 1) -> str:
        return self._writer.node("Conv", [x, *self._pair(name)], pads=[pad] * 4, strides=[stride] * 2)

    def _leaky(self, x: str) -> str:
        return self._writer.node("LeakyRelu", [x], alpha=0.2)

    def _padded(self, x: str, by: int) -> str:
        pads = np.array([0, 0, by, by, 0, 0, by, by], np.int64)
        return self._writer.node("Pad", [x, self._constant(pads)], mode="reflect")

    def _doubled(self, x: str) -> str:
        scales = np.array([1, 1, 2, 2], np.float32)
        inputs = [x, self._constant(np.zeros(0, np.float32)), self._constant(scales)]
        return self._writer.node("Resize", inputs, mode="linear", coordinate_transformation_mode="half_pixel")

    def _pair(self, name: str) -> list[str]:
        return [self._writer.constant(key, self._weights.pop(key)) for key in (f"{name}.weight", f"{name}.bias")]

    def _constant(self, value: NDArray[np.generic] | np.generic) -> str:
        return self._writer.constant(f"constant_{len(self._writer.constants)}", np.asarray(value))


def write_inswapper(fixture: str, path: Path) -> Path:
    """Write the graph of a golden fixture, such as `inswapper_128`, with the published matrix of identities."""
    weights = dict(tensors(fixture))
    path.write_bytes(InSwapperGraph(weights).build(np.load(MODELS / "inswapper_128_emap.npy")))
    assert not weights, f"left over: {list(weights)}"
    return path

"""Enhancers of the tests: a graph that sharpens in place of the networks, and one that goes wrong in every way."""

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.codeformer_store import FIDELITY, PICTURE, RESTORED
from models.engines import Frame, Swap, SwapRequest
from models.enhancer import EnhancerKind
from models.enhancer_graph import CODEFORMER_KIND, GraphEnhancer
from models.enhancer_guard import LATE_S, GuardedEnhancer
from models.enhancer_stage import EnhancerStage
from models.enhancer_view import EnhancerView
from models.face_templates import arcface_template
from models.inswapper import InSwapper
from models.neural_face_engine import NeuralFaceEngine
from models.neural_graph import last_initializer
from models.runtime import Array, Graph, NetworkError, OnnxGraph
from models.scrfd import Scrfd
from tests.neural_parts import NARROW, detector_graph, encoder, swapper_graph
from tests.onnx_writer import GraphWriter

Names = tuple[str, str]


def sharpener(
    side_px: int = 512, *, batch: int | str = "faces", fidelity: bool = True, names: Names = (PICTURE, RESTORED)
) -> bytes:
    """A graph that adds what a picture has over its neighbourhood's mean; half of it, or 1 - fidelity."""
    writer = GraphWriter()
    x = writer.input(names[0], (batch, 3, side_px, side_px))
    kernel = np.full((3, 1, 5, 5), 1 / 25, np.float32)
    mean = writer.node("Conv", [x, writer.constant("kernel", kernel)], group=3, pads=[2, 2, 2, 2], kernel_shape=[5, 5])
    share = writer.constant("half", np.full((1,), 0.5, np.float32))
    if fidelity:
        kept = writer.input(FIDELITY, (batch, 1, 1, 1))
        share = writer.node("Sub", [writer.constant("one", np.ones((1,), np.float32)), kept])
    writer.node("Add", [x, writer.node("Mul", [writer.node("Sub", [x, mean]), share])], names[1])
    writer.output(names[1], (batch, 3, side_px, side_px))
    return writer.model()


def graph_of(content: bytes, kind: EnhancerKind = CODEFORMER_KIND) -> OnnxGraph:
    """The graph, checked against the contract as at start-up."""
    return OnnxGraph(Path("enhancer.onnx"), kind.contract, content=content)


class FaultyEnhancer:
    """Sharpens, but for runs `first` to `last`, counted from 1, in which it has `fault`.

    "raw" gives back the raw face, which `seen` holds in the swapper's crop: no real enhancer ever has it. "first" has
    no picture for the first face of a run, "nothing" for none.
    """

    def __init__(self, fault: str = "", first: int = 1, last: int = 10_000) -> None:
        self.fault, self.first, self.last = fault, first, last
        self.runs = 0
        self.batches: list[int] = []
        self.fidelities: list[float] = []
        self.seen: list[Frame] = []
        self.threads: set[int] = set()
        self.free = threading.Event()
        self._inner = GraphEnhancer(graph_of(sharpener()), CODEFORMER_KIND)

    def enhance(self, crops: Sequence[Frame], fidelities: Sequence[float]) -> list[Frame | None]:
        """Count, then fail or answer."""
        self.runs += 1
        self.batches.append(len(crops))
        self.fidelities += fidelities
        self.threads.add(threading.get_ident())
        if not self.first <= self.runs <= self.last:
            return self._inner.enhance(crops, fidelities)
        return self._wrong(crops, fidelities)

    def _wrong(self, crops: Sequence[Frame], fidelities: Sequence[float]) -> list[Frame | None]:
        if self.fault == "raises":
            raise NetworkError("a network failed while it ran: out of memory")
        if self.fault == "hangs":
            self.free.wait(120)
        if self.fault == "late":
            time.sleep(0.4)
        if self.fault == "few":
            return []
        if self.fault == "constant":
            return [np.full_like(crop, 90) for crop in crops]
        if self.fault == "nothing":
            return [None] * len(crops)
        if self.fault == "first":
            return [None, *self._inner.enhance(crops, fidelities)[1:]]
        if self.fault == "noise":
            return [np.random.default_rng(5).integers(0, 256, crop.shape, np.uint8) for crop in crops]
        if self.fault == "raw":
            return list(self.seen[-len(crops) :])
        return list(crops)


def guarded(enhancer: FaultyEnhancer, *, late_s: float = 60.0) -> GuardedEnhancer:
    """Behind its thread, with patience for a slow machine."""
    return GuardedEnhancer(CODEFORMER_KIND, lambda: enhancer, clock=time.monotonic, late_s=late_s)


class RawWitness:
    """A swapper's graph that shows the enhancer beside it the raw faces, so that its fault "raw" can betray them."""

    def __init__(self, inner: Graph, enhancer: FaultyEnhancer) -> None:
        self.inputs, self.outputs = inner.inputs, inner.outputs
        self._inner = inner
        self._enhancer = enhancer
        self._view = EnhancerView(
            swap_px=128, swap_template=arcface_template(128), size_px=512, template=CODEFORMER_KIND.template_px
        )

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """Tell, then answer."""
        faces = np.rint(feeds["target"].transpose(0, 2, 3, 1)[..., ::-1] * 255).astype(np.uint8)
        self._enhancer.seen = [self._view.laid(np.ascontiguousarray(face)) for face in faces]
        return self._inner.run(feeds)


def enhanced_engine(enhancer: FaultyEnhancer, *, late_s: float = 60.0) -> NeuralFaceEngine:
    """The neural engine over small networks, with this enhancer."""
    swapper = InSwapper(RawWitness(swapper_graph(), enhancer), last_initializer(NARROW))
    stage = EnhancerStage(swapper, [guarded(enhancer, late_s=late_s)])
    return NeuralFaceEngine(Scrfd(detector_graph()), encoder(), swapper, enhancement=stage)


class EnhancedNeuralEngine:
    """The same by a dotted path, for a lane: the enhancer has `fault` from run `first` to `last`."""

    name = "small neural"
    batch_max = 8
    extras = ("codeformer",)

    def __init__(self, fault: str = "", first: int = 0, last: int = 0, late_s: float = LATE_S) -> None:
        self._engine = enhanced_engine(FaultyEnhancer(fault, first, last), late_s=late_s)

    def prepare(self, source: Any) -> Any:
        """As the engine."""
        return self._engine.prepare(source)

    def open(self, *, max_faces: int) -> Any:
        """As the engine."""
        return self._engine.open(max_faces=max_faces)

    def swap_batch(self, requests: Sequence[SwapRequest]) -> list[Swap | Exception]:
        """As the engine."""
        return self._engine.swap_batch(requests)

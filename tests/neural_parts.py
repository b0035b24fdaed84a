"""The neural engine with small networks in place of the operator's: SCRFD-500M, MobileFaceNet, InSwapper / 32.

What the narrow swapper answers is no face, but it is never the one that it was shown. `SmallNeuralEngine` runs in a
lane by its dotted path, with faults of this engine's own parts; counters start again with every worker.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from models.arcface import ArcFace
from models.engines import Others, PreparedPart, Swap, SwapRequest
from models.inswapper import InSwapper
from models.model_spec import TensorSpec
from models.neural_face_catalog import ARCFACE_CONTRACT, INSWAPPER_CONTRACT, SCRFD_CONTRACT
from models.neural_face_engine import NeuralFaceEngine
from models.neural_graph import last_initializer, with_open_batch
from models.runtime import Array, Graph, NetworkError, OnnxGraph
from models.scrfd import Scrfd
from models.swapper import SwappedCrop
from tests.asset_frames import GOLDEN, MODELS

NARROW = GOLDEN / "inswapper_narrow" / "inswapper_narrow.onnx"


@functools.cache
def detector_graph() -> OnnxGraph:
    """SCRFD-500M."""
    return OnnxGraph(MODELS / "det_500m.onnx", SCRFD_CONTRACT)


@functools.cache
def encoder_graph() -> OnnxGraph:
    """MobileFaceNet."""
    return OnnxGraph(MODELS / "w600k_mbf_deq_fp32.onnx", ARCFACE_CONTRACT)


@functools.cache
def encoder() -> ArcFace:
    """The same as the engine uses it."""
    return ArcFace(encoder_graph())


@functools.cache
def swapper_graph() -> OnnxGraph:
    """InSwapper with all widths divided by 32."""
    return OnnxGraph(NARROW, INSWAPPER_CONTRACT, content=with_open_batch(NARROW.read_bytes()))


class FaultyGraph:
    """A graph that answers otherwise from run `first` to `last`, counted from 1: see `fault`.

    "one is not finite" and "one is constant" are so for the first row of each output only.
    """

    def __init__(self, inner: Graph, fault: str = "", first: int = 0, last: int = 0) -> None:
        self._inner = inner
        self.inputs: tuple[TensorSpec, ...] = inner.inputs
        self.outputs: tuple[TensorSpec, ...] = inner.outputs
        self.fault, self.first, self.last = fault, first, last
        self.runs = 0

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """Count, then fail or answer."""
        self.runs += 1
        if not self.first <= self.runs <= self.last:
            return self._inner.run(feeds)
        if self.fault == "raises":
            raise NetworkError("a network failed while it ran: out of memory")
        if self.fault == "echoes":
            return (feeds["target"],)
        if self.fault.startswith("one is "):
            whole = self._inner.run(feeds)
            return tuple(_first_row(out, np.nan if self.fault.endswith("not finite") else 0.25) for out in whole)
        value = {"not finite": np.nan, "constant": 0.0, "sees nothing": 0.0}[self.fault]
        return tuple(np.full_like(out, value) for out in self._inner.run(feeds))


def _first_row(out: Array, value: float) -> Array:
    changed = out.copy()
    changed[0] = value
    return changed


def sound(answers: Sequence[SwappedCrop | None]) -> list[SwappedCrop]:
    """A swapper's answers, none of which is nonsense."""
    kept = [answer for answer in answers if answer is not None]
    assert len(kept) == len(answers)
    return kept


def small_engine(
    *, detector: Graph | None = None, swapper: Graph | None = None, encoding: Graph | None = None
) -> NeuralFaceEngine:
    """The engine over small networks, or others in their place."""
    found, known = Scrfd(detector or detector_graph()), ArcFace(encoding or encoder_graph())
    return NeuralFaceEngine(found, known, InSwapper(swapper or swapper_graph(), last_initializer(NARROW)))


class SmallNeuralEngine:
    """The same by a dotted path: a `part` ("detector", "encoder", "swapper") has `fault` from run `first` to `last`.

    `then` has more faults of that part, each with its runs, later ones last.
    """

    name = "small neural"
    batch_max = 8

    def __init__(
        self, part: str = "", fault: str = "", first: int = 0, last: int = 0, then: Sequence[tuple[str, int, int]] = ()
    ) -> None:
        graphs: dict[str, Graph] = {
            "detector": detector_graph(),
            "swapper": swapper_graph(),
            "encoder": encoder_graph(),
        }
        for each in ((fault, first, last), *then) if part else ():
            graphs[part] = FaultyGraph(graphs[part], *each)
        self._engine = small_engine(detector=graphs["detector"], swapper=graphs["swapper"], encoding=graphs["encoder"])

    def prepare(self, source: Any) -> Any:
        """As the engine."""
        return self._engine.prepare(source)

    def steps(self, source: Any) -> Iterator[Any]:
        """As the engine."""
        return self._engine.steps(source)

    def mapped(self, identity: Any, parts: Sequence[PreparedPart], *, others: Others, lock: bool) -> Any:
        """As the engine."""
        return self._engine.mapped(identity, parts, others=others, lock=lock)

    def open(self, *, max_faces: int) -> Any:
        """As the engine."""
        return self._engine.open(max_faces=max_faces)

    def swap_batch(self, requests: Sequence[SwapRequest]) -> list[Swap | Exception]:
        """As the engine."""
        return self._engine.swap_batch(requests)

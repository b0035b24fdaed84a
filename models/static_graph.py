"""A network run at a few fixed shapes, through buffers that lie on the device and are made once: how a GPU is fed.

Nothing is allocated on the media path, a batch between two sizes is padded, and on CUDA each shape is captured as a
graph and replayed. ONNX Runtime keeps captured runs by thread, and replays by two threads gave one caller another's
face elsewhere: only the thread that opened a network may run it. Used in the place of `runtime.OnnxGraph`.
"""

import gc
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from models import engine_cache, graph_trial, runtime
from models.bound_shape import BoundShape, bind
from models.graph_trial import Answer, Array
from models.model_spec import GraphContract, TensorSpec
from models.network_error import without_frames
from models.placement import Placement, Shape, Shapes
from models.runtime import NetworkError, SessionRefused

RUNS_TO_CAPTURE = 3
"""With an id before a replay is surely one: ONNX Runtime captures in the first, which it repeats by itself for that
(`InferenceSession::Run`), and TensorRT's provider in the second; runs of an open session cost nothing."""
REPLAY_APART = 0.02
"""A captured run answers as the same run did before it was captured, to rounding."""
ROW_APART = 0.05
"""A row among others is computed by other kernels than alone, in half precision a hundredth off; others' are far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticShapes:
    """The shapes of a network. `batches`: how many rows at once, small to large, all in one session; a file whose batch
    is fixed has that one.

    `sizes_px`: sides of the picture, for a network whose picture has open sides: a session for each, so that nothing
    in it is left to be worked out from the shape, which a GPU's provider would leave to the CPU.
    """

    batches: tuple[int, ...] = (1,)
    sizes_px: tuple[int, ...] = ()


ONE_BY_ONE = StaticShapes()
"""One row at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """What a shape was asked when it was bound, and what it answered before anything was captured."""

    bound: BoundShape
    feeds: dict[str, Array]
    answer: Answer


class StaticGraph:
    """An .onnx file at `shapes`, warm when it is made; a `runtime.Graph` whose batch may have any number of rows.

    Raises `NetworkError` as `OnnxGraph` does, from a thread that is not the one that made it, and for a shape that is
    none of its. Where a run cannot be captured the network is run without; `captured` says which.
    """

    def __init__(
        self,
        path: Path,
        contract: GraphContract,
        shapes: StaticShapes,
        *,
        placement: Placement,
        content: bytes | None = None,
    ) -> None:
        self._owner = threading.get_ident()
        self._name = path.name
        self._path, self._contract, self._content = path, contract, content
        refused = self._refused(shapes, placement)
        if placement.captured and isinstance(refused, SessionRefused) and refused.on_cpu:
            # Sizes are worked out on the CPU, without a copy; a session with copies cannot be captured, and says so.
            refused = self._refused(shapes, replace(placement, allow_cpu_nodes=True))
        self.captured = placement.captured and refused is None
        if placement.captured and refused is not None:
            refused = self._refused(shapes, replace(placement, captured=False))
        if refused is not None:
            raise refused

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """Outputs in the graph's order, a row for each row of the feeds; more than the largest batch go in turns."""
        if threading.get_ident() != self._owner:
            raise NetworkError(f"{self._name} was run by a thread that is not its own")
        first = feeds[self.inputs[0].name]
        most = self._largest(first.shape)
        if len(first) <= most:
            return self._run(feeds)
        turns = [
            self._run({name: rows[at : at + most] for name, rows in feeds.items()}) for at in range(0, len(first), most)
        ]
        return tuple(np.concatenate(outs) for outs in zip(*turns, strict=True))

    def _run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        first = feeds[self.inputs[0].name]
        bound = self._bound[_next_shape(self._bound, first.shape)]
        try:
            return bound.run(feeds, len(first))
        except Exception as error:  # ONNX Runtime's own classes have no common root but this
            raise NetworkError(f"{self._name} failed while it ran: {runtime.first_line(error)}") from error

    def _largest(self, shape: Shape) -> int:
        """The largest batch of rows of this shape."""
        sizes = [known[0] for known in self._bound if known[1:] == shape[1:]]
        if not sizes:
            raise NetworkError(f"{self._name} was made for {list(self._bound)} and got {shape}")
        return max(sizes)

    def _refused(self, shapes: StaticShapes, placement: Placement) -> NetworkError | None:
        """Open it there; why it is not open, and then nothing of it is left on the device."""
        try:
            self._open(shapes, placement)
        except NetworkError as error:
            self._bound.clear()
            refused = without_frames(error)
        else:
            return None
        gc.collect()
        return refused

    def _open(self, shapes: StaticShapes, placement: Placement) -> None:
        self._bound: dict[Shape, BoundShape] = {}
        trials: list[_Trial] = []
        for side_px in shapes.sizes_px or (0,):
            session = self._session(shapes, side_px, placement)
            alone: BoundShape | None = None
            for number, sizes in enumerate(self._sizes(shapes, side_px), 1):
                feeds = self._noise(sizes, first_seed=1)
                bound, answer = bind(session, feeds, placement, number)
                self._bound[sizes[self.inputs[0].name]] = bound
                alone = alone or bound
                trials.append(_Trial(bound=bound, feeds=feeds, answer=answer))
                self._try_out(trials[-1], alone, self._noise(sizes, first_seed=101), placement)
        # Only now: nothing of what the first shapes replay may have moved when later ones were bound and captured.
        for trial in trials:
            self._require_same(trial, placement)

    def _session(self, shapes: StaticShapes, side_px: int, placement: Placement) -> Any:
        """Open the file; on the CPU first where its inputs must be known before: sides to fix, TensorRT's range."""
        at_once = not side_px and placement.provider != "tensorrt"
        first = placement if at_once else replace(placement, provider="cpu", captured=False)
        session = runtime.open_session(self._path, first, content=self._content)
        self.inputs, self.outputs = runtime.tensors_of(session)
        runtime.require(self._path, self._contract, self.inputs, self.outputs)
        if at_once:
            return session
        names = {size for tensor in session.get_inputs() for size in tensor.shape[1:] if isinstance(size, str)}
        del session
        if side_px and placement.cache is not None:  # TensorRT's provider names an engine by anything but its shapes
            placement = replace(placement, cache=engine_cache.part(placement.cache, f"{side_px}px"))
        return runtime.open_session(
            self._path,
            placement,
            content=self._content,
            fixed=dict.fromkeys(names, side_px) if side_px else {},
            shapes=self._sizes(shapes, side_px),
        )

    def _sizes(self, shapes: StaticShapes, side_px: int) -> list[Shapes]:
        only = self.inputs[0].shape[0]
        return [_sized(self.inputs, batch, side_px) for batch in ((only,) if only else shapes.batches)]

    def _noise(self, sizes: Shapes, first_seed: int) -> dict[str, Array]:
        """Rows that are each a picture of nothing of its own."""
        batch = next(iter(sizes.values()))[0]
        single = {name: (1, *shape[1:]) for name, shape in sizes.items()}
        rows = [graph_trial.noise(self.inputs, single, first_seed + row) for row in range(batch)]
        return {name: np.concatenate([row[name] for row in rows]) for name in sizes}

    def _try_out(self, trial: _Trial, alone: BoundShape, other: Mapping[str, Array], placement: Placement) -> None:
        """Run until it is captured; two pictures must have two answers, and a row is the same among others."""
        bound, first = trial.bound, trial.answer
        if any(len(out) != bound.batch for out in first) and bound.batch > 1:
            raise NetworkError(f"{self._path} does not keep one row of its answer for each face: it takes no batch.")
        for _ in range(RUNS_TO_CAPTURE if placement.captured else 0):
            self._run(trial.feeds)
        fault = graph_trial.fault([first, self._run(other)])
        if not fault and bound.batch > 1 and _rows_apart(trial, alone) > ROW_APART:
            fault = "answers otherwise for a face among others than for it alone"
        if fault:
            raise NetworkError(self._unfit(fault, placement))

    def _require_same(self, trial: _Trial, placement: Placement) -> None:
        """A replay must be what was captured, and a plain run what it was at first."""
        if graph_trial.distance(self._run(trial.feeds), trial.answer) > REPLAY_APART:
            raise NetworkError(self._unfit("gives another answer each time", placement))

    def _unfit(self, fault: str, placement: Placement) -> str:
        return f"{self._path} {fault} on {placement}; try its full-precision file, or another provider."


def _sized(inputs: Sequence[TensorSpec], batch: int, side_px: int) -> Shapes:
    """Every input's shape, its open sizes filled in."""
    return {tensor.name: (batch, *(size or side_px for size in tensor.shape[1:])) for tensor in inputs}


def _next_shape(known: Mapping[Shape, BoundShape], shape: Shape) -> Shape:
    """The smallest shape that has room for `shape`."""
    return min(one for one in known if one[1:] == shape[1:] and one[0] >= shape[0])


def _rows_apart(trial: _Trial, alone: BoundShape) -> float:
    """How far the worst row is from what the smallest shape answers to that row alone."""
    return max(
        graph_trial.distance(
            tuple(out[row : row + 1] for out in trial.answer),
            alone.run({name: rows[row : row + 1] for name, rows in trial.feeds.items()}, 1, replay=False),
        )
        for row in range(trial.bound.batch)
    )

"""A network run at a few fixed shapes, through buffers that lie on the device and are made once: how a GPU is fed.

Nothing is allocated on the media path, a batch between two sizes is padded, and on CUDA each shape is captured as a
graph and replayed. ONNX Runtime keeps captured runs by thread, and replays by two threads gave one caller another's
face elsewhere: only the thread that opened a network may run it. Used in the place of `runtime.OnnxGraph`.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from models import graph_trial, runtime
from models.graph_trial import Array
from models.model_spec import GraphContract, TensorSpec
from models.placement import Placement, Shape, Shapes
from models.runtime import NetworkError

RUNS_TO_CAPTURE = 3
"""ONNX Runtime captures the third run of a shape: two before it may still allocate (cuda_execution_provider.h)."""
REPLAY_APART = 0.02
"""A captured run answers as the same run did before it was captured, to rounding."""


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


@dataclass(slots=True, kw_only=True)
class _Bound:
    """One shape of one session: its buffers, and the rows in host memory that are copied there."""

    session: Any
    binding: Any
    options: Any
    staged: dict[str, Array]
    inputs: dict[str, Any]
    outputs: list[Any]
    batch: int

    def run(self, feeds: Mapping[str, Array], rows: int) -> tuple[Array, ...]:
        for name, staged in self.staged.items():
            staged[:rows] = feeds[name]
            staged[rows:] = 0  # what another caller left there
            self.inputs[name].update_inplace(staged)
        self.binding.synchronize_inputs()
        self.session.run_with_iobinding(self.binding, self.options)
        self.binding.synchronize_outputs()
        # On a CPU numpy() is a view of the buffer, which the next run overwrites.
        return tuple(np.array(out.numpy()[: rows if rows < self.batch else None]) for out in self.outputs)


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
        self.captured = placement.captured
        try:
            self._open(shapes, placement)
        except NetworkError:
            if not placement.captured:
                raise
            self.captured = False
            self._open(shapes, replace(placement, captured=False))

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

    def _open(self, shapes: StaticShapes, placement: Placement) -> None:
        self._bound: dict[Shape, _Bound] = {}
        for side_px in shapes.sizes_px or (0,):
            session = self._session(shapes, side_px, placement)
            for number, sizes in enumerate(self._sizes(shapes, side_px), 1):
                bound = _bind(session, self.inputs, sizes, placement, number)
                self._bound[sizes[self.inputs[0].name]] = bound
                self._try_out(bound, sizes, placement)

    def _session(self, shapes: StaticShapes, side_px: int, placement: Placement) -> Any:
        """Open the file; twice where its picture has open sides, since their names are only known then."""
        plain = replace(placement, provider="cpu", captured=False) if side_px else placement
        tuned = () if side_px else self._sizes_by_contract(shapes)
        session = runtime.open_session(self._path, plain, content=self._content, shapes=tuned)
        self.inputs, self.outputs = runtime.tensors_of(session)
        runtime.require(self._path, self._contract, self.inputs, self.outputs)
        if not side_px:
            return session
        names = {size for tensor in session.get_inputs() for size in tensor.shape[1:] if isinstance(size, str)}
        fixed = dict.fromkeys(names, side_px)
        return runtime.open_session(
            self._path, placement, content=self._content, fixed=fixed, shapes=self._sizes(shapes, side_px)
        )

    def _sizes_by_contract(self, shapes: StaticShapes) -> list[Shapes]:
        """For TensorRT, which wants the range beforehand and by names; a contract without names has one shape."""
        named = all(tensor.name for tensor in self._contract.inputs)
        return [_sized(self._contract.inputs, batch, 0) for batch in shapes.batches] if named else []

    def _sizes(self, shapes: StaticShapes, side_px: int) -> list[Shapes]:
        only = self.inputs[0].shape[0]
        return [_sized(self.inputs, batch, side_px) for batch in ((only,) if only else shapes.batches)]

    def _try_out(self, bound: _Bound, sizes: Shapes, placement: Placement) -> None:
        """Run until it is captured; two pictures must have two answers, and a replay must be what was captured."""
        one, other = (graph_trial.noise(self.inputs, sizes, seed) for seed in (1, 2))
        first = self._run(one)
        if any(len(out) != bound.batch for out in first) and bound.batch > 1:
            raise NetworkError(f"{self._path} does not keep one row of its answer for each face: it takes no batch.")
        for _ in range(RUNS_TO_CAPTURE if placement.captured else 0):
            self._run(one)
        again = self._run(one)
        fault = graph_trial.fault([first, self._run(other)])
        if not fault and graph_trial.distance(again, first) > REPLAY_APART:
            fault = "gives another answer each time"
        if fault:
            raise NetworkError(
                f"{self._path} {fault} on {placement}; try its full-precision file, or another provider."
            )


def _sized(inputs: Sequence[TensorSpec], batch: int, side_px: int) -> Shapes:
    """Every input's shape, its open sizes filled in."""
    return {tensor.name: (batch, *(size or side_px for size in tensor.shape[1:])) for tensor in inputs}


def _next_shape(known: Mapping[Shape, _Bound], shape: Shape) -> Shape:
    """The smallest shape that has room for `shape`."""
    return min(one for one in known if one[1:] == shape[1:] and one[0] >= shape[0])


def _bind(session: Any, inputs: Sequence[TensorSpec], sizes: Shapes, placement: Placement, number: int) -> _Bound:
    """Make and bind the buffers of one shape. The answers' shapes are found by one run that is not captured."""
    staged = {tensor.name: np.zeros(sizes[tensor.name], tensor.dtype) for tensor in inputs}
    try:
        binding = session.io_binding()
        values = {name: runtime.buffer(placement, rows.shape, rows.dtype.name) for name, rows in staged.items()}
        for name, value in values.items():
            value.update_inplace(staged[name])
            binding.bind_ortvalue_input(name, value)
        names = [output.name for output in session.get_outputs()]
        for name in names:
            binding.bind_output(name, placement.device_name, placement.device)
        session.run_with_iobinding(binding, runtime.run_options(placement, -1))
        found = [value.numpy() for value in binding.get_outputs()]
        binding.clear_binding_outputs()
        outputs = [runtime.buffer(placement, out.shape, out.dtype.name) for out in found]
        for name, value in zip(names, outputs, strict=True):
            binding.bind_ortvalue_output(name, value)
    except Exception as error:  # ONNX Runtime's own classes have no common root but this
        raise NetworkError(f"a network has no room or cannot run: {runtime.first_line(error)}") from error
    options = runtime.run_options(placement, number)
    return _Bound(
        session=session,
        binding=binding,
        options=options,
        staged=staged,
        inputs=values,
        outputs=outputs,
        batch=next(iter(sizes.values()))[0],
    )

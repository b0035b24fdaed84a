"""One shape of one session: its buffers on the device, made once, and a run through them. Made by `static_graph`.

A run waits for its own stream and for no other: ONNX Runtime ends a run with that, and copying rows in waits for the
copy. `synchronize_inputs` and `synchronize_outputs` would wait for all streams of the process, a late enhancer's too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models import runtime
from models.graph_trial import Answer, Array
from models.placement import Placement
from models.runtime import NetworkError

UNCAPTURED = -1
"""The id of runs that are neither captured nor replayed."""


@dataclass(slots=True, kw_only=True)
class BoundShape:
    """The buffers, the rows in host memory that are copied there, and the options of replayed and of plain runs."""

    session: Any
    binding: Any
    replayed: Any
    plain: Any
    staged: dict[str, Array]
    inputs: dict[str, Any]
    outputs: list[Any]
    batch: int

    def run(self, feeds: Mapping[str, Array], rows: int, *, replay: bool = True) -> Answer:
        """The answers of the first `rows`; captured and replayed where the session captures, unless not `replay`."""
        for name, staged in self.staged.items():
            staged[:rows] = feeds[name]
            staged[rows:] = 0  # what another caller left there
            self.inputs[name].update_inplace(staged)
        self.session.run_with_iobinding(self.binding, self.replayed if replay else self.plain)
        # On a CPU numpy() is a view of the buffer, which the next run overwrites.
        return tuple(np.array(out.numpy()[: rows if rows < self.batch else None]) for out in self.outputs)


def bind(session: Any, feeds: Mapping[str, Array], placement: Placement, number: int) -> tuple[BoundShape, Answer]:
    """Buffers of the shape of `feeds`, and what the first run answers to them, which no provider captures.

    That run also tells the shapes of the answers. `number` is the id of this shape's replays. Raises `NetworkError`.
    """
    try:
        return _bound(session, feeds, placement, number)
    except Exception as error:  # ONNX Runtime's own classes have no common root but this
        raise NetworkError(f"a network has no room or cannot run: {runtime.first_line(error)}") from error


def _bound(session: Any, feeds: Mapping[str, Array], placement: Placement, number: int) -> tuple[BoundShape, Answer]:
    staged = {name: np.array(rows) for name, rows in feeds.items()}
    binding, plain = session.io_binding(), runtime.run_options(placement, UNCAPTURED)
    values = {name: runtime.buffer(placement, rows.shape, rows.dtype.name) for name, rows in staged.items()}
    for name, value in values.items():
        value.update_inplace(staged[name])
        binding.bind_ortvalue_input(name, value)
    names = [output.name for output in session.get_outputs()]
    for name in names:
        binding.bind_output(name, placement.device_name, placement.device)
    session.run_with_iobinding(binding, plain)
    answer = tuple(np.array(value.numpy()) for value in binding.get_outputs())
    binding.clear_binding_outputs()
    outputs = [runtime.buffer(placement, out.shape, out.dtype.name) for out in answer]
    for name, value in zip(names, outputs, strict=True):
        binding.bind_ortvalue_output(name, value)
    bound = BoundShape(
        session=session,
        binding=binding,
        replayed=runtime.run_options(placement, number),
        plain=plain,
        staged=staged,
        inputs=values,
        outputs=outputs,
        batch=len(next(iter(staged.values()))),
    )
    return bound, answer

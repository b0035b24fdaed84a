"""Networks of a lane's process that may lose its GPU: where it is lost, the process ends, and the lane starts it again.

After an illegal address, an ECC error or a driver's reset every CUDA call of a process fails until it ends ("sticky
errors", CUDA Runtime API, cudaGetLastError). Imported voices are opened through here; the face engine counts its own
batches (`models.neural_face_engine`).
"""

from collections.abc import Callable, Mapping

from models import runtime
from models.runtime import Array, Graph, NetworkError, Placement

FAILED_RUNS_TO_RESTART = 10
"""Of one network in a row, though the GPU runs another one: what is the matter with it stays in this process."""


def watched(placement: Placement, opened: Callable[[], Graph]) -> Graph:
    """What `opened` gives for the placement; on a GPU its runs are watched.

    Raises what `opened` does, and `SystemExit` where that is a `NetworkError` of a GPU that runs nothing any more.
    """
    if placement.provider == "cpu":
        return opened()
    try:
        graph = opened()
    except NetworkError as error:
        _end_if_lost(placement, error)
        raise
    return WatchedGraph(graph, placement)


class WatchedGraph:
    """A `Graph` on a GPU."""

    def __init__(self, graph: Graph, placement: Placement) -> None:
        self.inputs, self.outputs = graph.inputs, graph.outputs
        self._graph = graph
        self._placement = placement
        self._failed_runs = 0

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """As the graph's. `SystemExit` when the GPU is lost, or after `FAILED_RUNS_TO_RESTART` failures in a row."""
        try:
            answers = self._graph.run(feeds)
        except NetworkError as error:
            self._failed_runs += 1
            _end_if_lost(self._placement, error)
            if self._failed_runs >= FAILED_RUNS_TO_RESTART:
                raise SystemExit(f"a network failed {self._failed_runs} times in a row: {error}") from error
            raise
        self._failed_runs = 0
        return answers


def _end_if_lost(placement: Placement, error: NetworkError) -> None:
    """Raises `SystemExit` unless the GPU runs a network of one node still: then the fault is the other network's."""
    if not runtime.still_runs(placement.provider, placement.device):
        raise SystemExit(f"the GPU is lost to this process: {error}") from error

"""A network that all imported voices share: the lane's thread runs it for hops, and the loading thread for a new voice.

A graph is not to be entered by two threads at once (`models.runtime.Graph`), and a stand-in for one keeps state.
"""

from collections.abc import Mapping
from threading import Lock

from models.runtime import Array, Graph


class SharedGraph:
    """A `Graph` whose runs take turns."""

    def __init__(self, graph: Graph) -> None:
        self.inputs, self.outputs = graph.inputs, graph.outputs
        self._graph = graph
        self._turn = Lock()

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """As the graph's; waits for a run of another thread, which is one of a hop or less."""
        with self._turn:
            return self._graph.run(feeds)

"""Runs a picture network on several pictures: in one run where its file leaves the batch open, else one after another.

Many published exports fix the batch at one. Used by the swappers, masks and enhancers of the neural engine.
"""

from collections.abc import Mapping

import numpy as np

from models.runtime import Array, Graph


def run(graph: Graph, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
    """Outputs for all rows of `feeds`, whose arrays have the same first size. Raises what the graph raises."""
    count = len(next(iter(feeds.values())))
    if count == 1 or graph.inputs[0].shape[0] != 1:
        return graph.run(feeds)
    each = [graph.run({name: rows[i : i + 1] for name, rows in feeds.items()}) for i in range(count)]
    return tuple(np.concatenate(rows) for rows in zip(*each, strict=True))

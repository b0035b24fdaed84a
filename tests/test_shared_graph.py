"""Turns at a network that hops and loading share."""

import threading
import time
from collections.abc import Mapping

import numpy as np
import pytest

from models.model_spec import TensorSpec
from models.runtime import Array, NetworkError
from models.shared_graph import SharedGraph


class Crowded:
    """A graph that counts who is inside, and fails when it is told to."""

    def __init__(self) -> None:
        self.inputs: tuple[TensorSpec, ...] = (TensorSpec(name="x", shape=(1,)),)
        self.outputs: tuple[TensorSpec, ...] = ()
        self.inside = 0
        self.most = 0

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """What it was given."""
        self.inside += 1
        self.most = max(self.most, self.inside)
        time.sleep(0.002)
        self.inside -= 1
        if not feeds:
            raise NetworkError("lost")
        return (feeds["x"],)


def test_two_threads_are_never_inside_at_once() -> None:
    """Each gets its own answer."""
    inner = Crowded()
    graph, answers = SharedGraph(inner), dict[int, list[float]]()

    def ask(number: int) -> None:
        answers[number] = [float(graph.run({"x": np.full(1, number)})[0][0]) for _ in range(10)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inner.most == 1
    assert answers == {number: [number] * 10 for number in range(3)}
    assert graph.inputs == inner.inputs


def test_a_failed_run_leaves_the_next_its_turn() -> None:
    """The lane goes on."""
    graph = SharedGraph(Crowded())
    with pytest.raises(NetworkError):
        graph.run({})
    assert graph.run({"x": np.ones(1)})[0] == 1

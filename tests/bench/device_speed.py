"""How fast a device multiplies matrices in ONNX Runtime: the bound that a network's arithmetic is held against."""

import time
from pathlib import Path

import numpy as np

from models.graph_opener import GpuRuntime
from models.model_spec import GraphContract, TensorSpec
from models.placement import Placement
from models.static_graph import ONE_BY_ONE, StaticGraph
from tests.onnx_writer import GraphWriter

ROUNDS = 5


def teraflops(gpu: GpuRuntime | None, *, half: bool, side: int = 0, deep: int = 8) -> float:
    """Of a chain of `deep` square products, on a GPU's CUDA provider or two threads of the CPU; the best of some runs.

    The first operand and the answer travel, the constants do not. Raises `NetworkError` where it cannot run.
    """
    side = side or (4096 if gpu else 512)
    dtype = np.float16 if half else np.float32
    writer = GraphWriter()
    value = writer.node("Cast", [writer.input("x", (1, side, side))], to=10 if half else 1)
    weights = np.random.default_rng(1).standard_normal((side, side)).astype(dtype) / np.sqrt(dtype(side))
    constant = writer.constant("weights", weights.astype(dtype))
    for _ in range(deep):
        value = writer.node("MatMul", [value, constant])
    writer.node("Cast", [value], "y", to=1)
    writer.output("y", (1, side, side))
    square = TensorSpec(name="x", shape=(1, side, side))
    contract = GraphContract(inputs=(square,), outputs=(TensorSpec(shape=(1, side, side)),))
    placement = Placement(provider="cuda", captured=True) if gpu else Placement(threads=2)
    graph = StaticGraph(Path("matrices"), contract, ONE_BY_ONE, placement=placement, content=writer.model(13))
    feeds = {"x": np.random.default_rng(2).standard_normal((1, side, side), np.float32)}
    best_s = float("inf")
    for _ in range(ROUNDS):
        begun_s = time.perf_counter()
        graph.run(feeds)
        best_s = min(best_s, time.perf_counter() - begun_s)
    return 2.0 * deep * side**3 / best_s / 1e12

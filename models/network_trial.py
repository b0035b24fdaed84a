"""Runs a stranger's network once in a process of its own, with bounds on memory, time and files, before it is stored.

What passed `models.onnx_guard` is loaded and run here for the first time: a network that takes all memory, never ends
or brings ONNX Runtime down does so to this process only. Called by `models.ready_network`.
"""

import multiprocessing
import resource
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from models.runtime import NetworkError, OnnxGraph
from models.voice_networks import VoiceNetwork, spoken_picture

MEMORY_BYTES = 6 << 30
"""Of addresses: RMVPE takes 1.5 GB of them."""
CPU_S = 120
WALL_S = 240.0
_WORDS_MAX = 400
_GOOD = b""


def fault(path: Path, network: VoiceNetwork, *, wall_s: float = WALL_S, memory_bytes: int = MEMORY_BYTES) -> str:
    """What is wrong with the answer of the graph in `path` in the place of `network`, or nothing."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run_confined, args=(path, network, memory_bytes, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        return _answer(ours, wall_s)
    finally:
        process.kill()
        process.join()
        ours.close()


def _answer(ours: Connection, wall_s: float) -> str:
    if not ours.poll(wall_s):
        return f"does not end within {wall_s:.0f} s"
    try:
        return ours.recv_bytes(_WORDS_MAX).decode("utf-8", "replace")
    except (EOFError, OSError):
        return "brings the runtime down, or takes more memory than such a network does"


def _run_confined(path: Path, network: VoiceNetwork, memory_bytes: int, theirs: Connection) -> None:
    """In the other process: one answer, or death."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    theirs.send_bytes(_tried(path, network).encode()[:_WORDS_MAX])


def _tried(path: Path, network: VoiceNetwork) -> str:
    try:
        graph = OnnxGraph(path)
    except NetworkError:
        return "is not a network that ONNX Runtime can run"
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        return "does not take one input and give one output"
    try:
        [answer] = graph.run({graph.inputs[0].name: spoken_picture()})
    except NetworkError:
        return f"does not take {list(network.given_shape)}"
    if answer.shape != network.output_shape or answer.dtype != np.float32:
        return f"gives {answer.dtype} {list(answer.shape)} and not float32 {list(network.output_shape)}"
    if not (np.isfinite(answer).all() and 0 <= answer.min() < answer.max() <= 1):
        return "gives answers that are no salience between 0 and 1"
    return _GOOD.decode()

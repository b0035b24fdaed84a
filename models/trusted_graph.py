"""Opens a network where it is fastest and still right: each placement in turn, until one answers as the CPU does.

The CPU's answer is kept on disk by the bytes of the network, so that half a gigabyte is loaded on the CPU once and not
at every start. Called by whoever opens a network for the neural engine.
"""

import contextlib
import gc
import hashlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from models import engine_cache, graph_trial
from models.graph_trial import Answer, Array
from models.model_spec import GraphContract
from models.network_error import without_frames
from models.placement import Placement
from models.runtime import Graph, NetworkError, OnnxGraph, SessionRefused
from models.static_graph import ONE_BY_ONE, StaticGraph, StaticShapes

AGREE_SHARE = 0.05
"""Half precision is off by a hundredth; black squares, rainbows and another's face by the whole."""
REFERENCE = Placement(provider="cpu", threads=2)
_SEED = 7
_UNREADABLE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)
"""A kept answer that is absent, cut short or damaged is made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """An open network, where it runs, and why it does not run where it was wanted more."""

    graph: Graph
    placement: Placement
    refused: tuple[str, ...] = ()


def open_trusted(
    path: Path,
    contract: GraphContract,
    placements: Iterable[Placement],
    *,
    shapes: StaticShapes = ONE_BY_ONE,
    content: bytes | None = None,
    answers: Path | None = None,
) -> Trusted:
    """Open a network at the first of `placements` whose answer is the CPU's; on a GPU at `shapes`, captured.

    The next placement is asked for only when the one before is refused.
    `answers` is the folder that keeps the CPU's answers. Raises the last placement's `NetworkError` when none passes,
    ValueError without placements.
    """
    failures: list[NetworkError] = []
    for placement in placements:
        kept = placement.cache if engine_cache.holds_engines(placement.cache) else None
        attempt = partial(_opened, path, contract, placement, shapes, content, answers)
        opened = _tried(attempt)
        if kept is not None and isinstance(opened, SessionRefused) and not opened.on_cpu:
            engine_cache.empty(kept)  # an engine that a killed process or a full disk cut short is refused for ever
            opened = _tried(attempt)
        if not isinstance(opened, NetworkError):
            return Trusted(graph=opened, placement=placement, refused=tuple(one.sentence for one in failures))
        failures.append(opened)
        gc.collect()  # what was refused lies on the GPU, where the next one needs the room
    if not failures:
        raise ValueError("no placement was named")
    raise failures[-1]


def _tried(attempt: Callable[[], Graph]) -> Graph | NetworkError:
    try:
        return attempt()
    except NetworkError as error:
        return without_frames(error)


def _opened(
    path: Path,
    contract: GraphContract,
    placement: Placement,
    shapes: StaticShapes,
    content: bytes | None,
    answers: Path | None,
) -> Graph:
    if placement.provider == "cpu":
        return OnnxGraph(path, contract, placement=placement, content=content)
    graph = StaticGraph(path, contract, shapes, placement=placement, content=content)
    require_agreement(path, graph, contract, content=content, answers=answers)
    return graph


def require_agreement(
    path: Path, graph: Graph, contract: GraphContract, *, content: bytes | None = None, answers: Path | None = None
) -> None:
    """Raises `NetworkError` when the answer to noise is over `AGREE_SHARE` from the one that the CPU gives."""
    sizes = graph_trial.sizes_of(graph.inputs, contract.free_px)
    feeds = graph_trial.noise(graph.inputs, sizes, _SEED)
    apart = graph_trial.distance(graph.run(feeds), _reference(path, feeds, content, answers))
    if apart > AGREE_SHARE:
        raise NetworkError(
            f"{path} answers {apart:.0%} away from what it answers on the CPU; try the full-precision file."
        )


def _reference(path: Path, feeds: Mapping[str, Array], content: bytes | None, answers: Path | None) -> Answer:
    """What the CPU answers: out of the folder, or by loading the network there once."""
    if answers is None:
        return OnnxGraph(path, placement=REFERENCE, content=content).run(feeds)
    kept = answers / f"{_digest(path, feeds, content)}.npz"
    with contextlib.suppress(*_UNREADABLE), kept.open("rb") as file, np.load(file) as stored:
        return tuple(stored[str(number)] for number in range(len(stored.files)))
    answer = OnnxGraph(path, placement=REFERENCE, content=content).run(feeds)
    _keep(kept, answer)
    return answer


def _digest(path: Path, feeds: Mapping[str, Array], content: bytes | None) -> str:
    """Of the network's bytes and of what it is asked."""
    if content is None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    else:
        digest = hashlib.sha256(content)
    for name, value in feeds.items():
        digest.update(f"{name}{value.shape}{value.dtype}".encode() + value.tobytes())
    return digest.hexdigest()


def _keep(kept: Path, answer: Answer) -> None:
    """Whole or not at all. A folder that cannot be written to costs the next start some seconds, and nothing else."""
    named: dict[str, Any] = {str(number): out for number, out in enumerate(answer)}
    with contextlib.suppress(OSError):
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, suffix=".part", delete=False) as file:
            np.savez(file, allow_pickle=False, **named)
        os.replace(file.name, kept)

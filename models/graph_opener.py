"""Opens the networks of one engine on one machine: on the GPU as it is configured, else on the CPU. One for an engine.

Made by `face_engine_choice`, handed to everything that opens a network there. On a GPU each network is tried where it
is fastest first, and where that answers otherwise than the CPU, at the next place; `said` collects why.
"""

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from models import engine_cache, gpu_status, runtime, trusted_graph
from models.engine_cache import EngineKey
from models.model_spec import GraphContract
from models.placement import Placement, Provider
from models.runtime import Graph
from models.static_graph import ONE_BY_ONE, StaticShapes

GpuRuntime = Literal["cuda", "tensorrt"]
"""TensorRT is faster, and builds an engine for minutes when a network, a card or a version is new to it."""
FACES = StaticShapes(batches=(1, 2, 4, 8))
"""What goes through a swapper or a mask at once: a face, those of a frame, those of several calls."""
CPU_THREADS = 2


class GraphOpener:
    """`gpu` None: the CPU. `cache` is the folder for what is made once: TensorRT's engines, the CPU's answers.

    What another thread opens than the one that made this runs uncaptured, in that thread.
    """

    def __init__(self, gpu: GpuRuntime | None, *, cache: Path | None = None, device: int = 0) -> None:
        self.provider: Provider = gpu or "cpu"
        self.said: list[str] = []
        self._cache = cache
        self._device = device
        self._owner = threading.get_ident()
        self._opened: set[Path] = set()

    def open(
        self, path: Path, contract: GraphContract, *, shapes: StaticShapes = ONE_BY_ONE, content: bytes | None = None
    ) -> Graph:
        """Open a network, warm at `shapes` on a GPU. Raises `NetworkError` as `runtime.OnnxGraph` does."""
        answers = None if self._cache is None else self._cache / "answers"
        places = self.places(path, shapes, content)
        trusted = trusted_graph.open_trusted(path, contract, places, shapes=shapes, content=content, answers=answers)
        self.said += trusted.refused
        return trusted.graph

    def places(self, path: Path, shapes: StaticShapes, content: bytes | None = None) -> Iterator[Placement]:
        """Where the network of a file is tried, in order; a place's folder is made when it is that one's turn."""
        if self.provider == "cpu":
            yield Placement(threads=CPU_THREADS)
            return
        # While a run is captured no other thread may allocate on the GPU: only the engine's own captures.
        captured = threading.get_ident() == self._owner
        cuda = Placement(provider="cuda", device=self._device, captured=captured)
        for half in (True, False) if self.provider == "tensorrt" else ():
            engines = self._engines(path, shapes, content, half=half)
            yield replace(cuda, provider="tensorrt", half=half, cache=engines)
        yield cuda

    def _engines(self, path: Path, shapes: StaticShapes, content: bytes | None, *, half: bool) -> Path | None:
        """Where TensorRT's engines of a file are kept; nowhere when not all is known that they depend on."""
        device, tensorrt = gpu_status.device(self._device), engine_cache.tensorrt_version()
        if self._cache is None or device is None or not tensorrt:
            return None
        with contextlib.suppress(OSError):  # a folder that cannot be written, or no such file: said by who opens it
            key = EngineKey(
                gpu=device.name,
                capability=device.capability,
                tensorrt=tensorrt,
                onnxruntime=runtime.version("tensorrt"),
                half=half,
                model_sha256=_sha256(path) if content is None else hashlib.sha256(content).hexdigest(),
                shapes=f"{shapes.batches} {shapes.sizes_px}",
            )
            found = engine_cache.folder(self._cache / "tensorrt", key, in_use=tuple(self._opened))
            self._opened.add(found)
            return found
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""The inference runtimes: it and `onnx_provider` alone know LiteRT and ONNX Runtime. Networks are loaded and run here.

Detectors, landmarkers and swappers take a `Network` or a `Graph` and know nothing of what runs it. ONNX Runtime is an
extra, so it is imported when the first .onnx file is opened.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from models import graph_trial
from models.graph_trial import Array
from models.model_spec import GraphContract, TensorSpec
from models.model_spec import Shape as OpenShape
from models.network_error import NetworkError, SessionRefused, first_line
from models.onnx_provider import (
    available,
    cuda_version,
    loaded,
    obstacle,
    session_options,
    still_runs,
    usable,
    version,
    with_provider,
)
from models.placement import ON_THE_CPU, ORT_NAMES, Placement, Provider, Shape, Shapes, providers

__all__ = [
    "Array",
    "Graph",
    "LiteRTNetwork",
    "Network",
    "NetworkError",
    "OnnxGraph",
    "Placement",
    "Provider",
    "SessionRefused",
    "Tensor",
    "available",
    "buffer",
    "cuda_version",
    "first_line",
    "obstacle",
    "open_session",
    "require",
    "run_options",
    "still_runs",
    "tensors_of",
    "usable",
    "version",
]

Tensor = NDArray[np.float32]

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}
_DTYPES |= {f"tensor({name})": name for name in ("int8", "uint8", "int32", "int64", "bool")}
BROKEN = ("MatmulTransposeFusion",)
"""Optimizers that spoil graphs in half precision: of a Cast between a Transpose and a product this one makes a node
without its operator set, which no GPU's provider has (1.31.1); with the Cast before them it crashes on a CPU (1.32)."""


class Network(Protocol):
    """A network of one input and named outputs, float32, fixed shapes. Not to be called by two threads at once."""

    input_shape: Shape
    output_shapes: dict[str, Shape]

    def run(self, tensor: Tensor) -> dict[str, Tensor]:
        """Outputs by name, owned by the caller. `tensor` must have `input_shape`."""


class Graph(Protocol):
    """A network of named inputs and outputs, of which sizes may be open. Not to be called by two threads at once."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """Outputs in the graph's order, owned by the caller."""


class LiteRTNetwork:
    """A .tflite file on LiteRT. Checked at load: it parses, is float32, and a run on zeros gives finite numbers."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        try:
            self._interpreter = _load(path, threads)
        except (ValueError, RuntimeError) as error:  # what LiteRT raises for a file it cannot parse or prepare
            raise NetworkError(f"{path} is not a network that LiteRT can run; delete it and fetch it again.") from error
        (given,) = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        if any(detail["dtype"] is not np.float32 for detail in (given, *outputs)):
            raise NetworkError(f"{path} is not a float32 network; the catalogue and this release do not match.")
        self._input: int = given["index"]
        self._outputs: dict[str, int] = {detail["name"]: detail["index"] for detail in outputs}
        self.input_shape: Shape = _shape(given)
        self.output_shapes: dict[str, Shape] = {detail["name"]: _shape(detail) for detail in outputs}
        if not all(np.isfinite(out).all() for out in self.run(np.zeros(self.input_shape, np.float32)).values()):
            raise NetworkError(f"{path} gives numbers that are not finite on this machine; reinstall ai-edge-litert.")

    def run(self, tensor: Tensor) -> dict[str, Tensor]:
        """Outputs by name; they are copies, since LiteRT's own buffers change with the next run."""
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}


class OnnxGraph:
    """An .onnx file on ONNX Runtime. Checked at load: provider, contract, and answers that are finite and not constant.

    `content` replaces the bytes of the file, for a graph that was changed after reading; `path` is then its name only.
    Raises `NetworkError` with the file, what was expected, and the command that mends it.
    """

    def __init__(
        self,
        path: Path,
        contract: GraphContract | None = None,
        *,
        placement: Placement = ON_THE_CPU,
        content: bytes | None = None,
    ) -> None:
        self._session = open_session(path, placement, content=content)
        self.inputs, self.outputs = tensors_of(self._session)
        if contract is None:
            return
        require(path, contract, self.inputs, self.outputs)
        sizes = graph_trial.sizes_of(self.inputs, contract.free_px)
        fault = graph_trial.fault([self.run(graph_trial.noise(self.inputs, sizes, seed)) for seed in (1, 2)])
        if fault:
            sentence = f"{path} {fault} on {placement.provider}; try its full-precision file, or another provider."
            raise NetworkError(sentence)

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """Outputs in the graph's order. Raises `NetworkError` when the runtime fails: a lost GPU, a wrong shape."""
        try:
            return tuple(self._session.run(None, dict(feeds)))
        except Exception as error:  # ONNX Runtime's own classes have no common root but this
            raise NetworkError(f"a network failed while it ran: {first_line(error)}") from error


def open_session(
    path: Path,
    placement: Placement,
    *,
    content: bytes | None = None,
    shapes: Sequence[Shapes] = (),
    fixed: Mapping[str, int] | None = None,
) -> Any:
    """An ONNX Runtime session, to be run by one thread only. `fixed` gives sizes to those that the graph only names.

    `shapes` are all that it will run at, small to large. Raises `NetworkError`: no runtime, no such provider, no GPU
    behind it, no file; `SessionRefused`: no network, nodes for the CPU, a run that cannot be captured.
    """
    runtime, name = with_provider(placement.provider), ORT_NAMES[placement.provider]
    if content is None and not path.is_file():
        raise NetworkError(f"{path} is not there: `mirage-rtc models fetch {path.name}` gets it.")
    found = obstacle(placement.provider, placement.device)
    if found:
        raise NetworkError(found)
    options = session_options(placement, fixed or {})
    try:
        source = str(path) if content is None else content
        # A provider that fails, in a run too, must not be replaced by the CPU's: the Python class does so by itself.
        session = runtime.InferenceSession(
            source,
            options,
            providers=providers(placement, shapes),
            enable_fallback=False,
            disabled_optimizers=BROKEN,
        )
    except Exception as error:  # ONNX Runtime's own classes have no common root but this
        raise SessionRefused(
            f"{path} is not a network that ONNX Runtime can run on {placement.provider} ({first_line(error)}); "
            f"`mirage-rtc models verify {path.name}` says whether it is damaged.",
            on_cpu="default CPU EP" in str(error),
        ) from error
    if session.get_providers()[0] != name:
        raise NetworkError(
            f"{path} fell back from {placement.provider} to {session.get_providers()[0]}: check the GPU."
        )
    return session


def buffer(placement: Placement, shape: Shape, dtype: str) -> Any:
    """Room for a tensor where the placement's networks run, made once and kept (an `OrtValue`)."""
    values = loaded(placement.provider).OrtValue
    return values.ortvalue_from_shape_and_type(
        list(shape), np.dtype(dtype).type, placement.device_name, placement.device
    )


def run_options(placement: Placement, graph_id: int) -> Any:
    """Options of a run; a captured run is replayed by its `graph_id`, one for each shape of a session."""
    options = loaded(placement.provider).RunOptions()
    if placement.captured:
        options.add_run_config_entry("gpu_graph_id", str(graph_id))
    return options


def tensors_of(session: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs of a session, in order."""
    return tuple(map(_described, session.get_inputs())), tuple(map(_described, session.get_outputs()))


def require(
    path: Path, contract: GraphContract, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> None:
    """Refuse a graph whose tensors are others than the contract's, with a `NetworkError`."""
    _require(path, "takes", inputs, contract.inputs)
    read = outputs[: len(contract.outputs)] if contract.further_outputs else outputs
    _require(path, "gives", read, contract.outputs)


def _load(path: Path, threads: int) -> Any:
    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def _shape(detail: dict[str, Any]) -> Shape:
    return tuple(int(size) for size in detail["shape"])


def _described(tensor: Any) -> TensorSpec:
    sizes: OpenShape = tuple(size if isinstance(size, int) else None for size in tensor.shape)
    return TensorSpec(name=tensor.name, shape=sizes, dtype=_DTYPES.get(tensor.type, tensor.type))


def _require(path: Path, verb: str, found: tuple[TensorSpec, ...], wanted: tuple[TensorSpec, ...]) -> None:
    """Refuse a graph whose tensors are others than the contract's."""
    if len(found) == len(wanted) and all(map(_fits, found, wanted)):
        return
    raise NetworkError(
        f"{path} {verb} {_in_words(found)}, and {_in_words(wanted)} is expected: it is another network. "
        f"`mirage-rtc models verify {path.name}` says whether it is the pinned file, and "
        f"`mirage-rtc models fetch {path.name}` gets that one."
    )


def _in_words(tensors: tuple[TensorSpec, ...]) -> str:
    return ", ".join(map(str, tensors)) or "nothing"


def _fits(found: TensorSpec, wanted: TensorSpec) -> bool:
    """Same name where one is wanted, same dtype, same sizes where both are known. A batch of one may stand before."""
    extra = len(found.shape) - len(wanted.shape)
    if wanted.name not in {"", found.name} or found.dtype != wanted.dtype or extra not in {0, 1}:
        return False
    if extra and found.shape[0] not in {1, None}:
        return False
    return all(None in pair or pair[0] == pair[1] for pair in zip(found.shape[extra:], wanted.shape, strict=True))

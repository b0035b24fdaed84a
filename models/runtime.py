"""The inference runtimes: the only module that imports LiteRT and ONNX Runtime. Networks are loaded and run here.

Detectors, landmarkers and swappers take a `Network` or a `Graph` and know nothing of what runs it. ONNX Runtime is an
extra, so it is imported when the first .onnx file is opened.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from models.model_spec import GraphContract, TensorSpec
from models.model_spec import Shape as OpenShape

Tensor = NDArray[np.float32]
Array = NDArray[Any]
Shape = tuple[int, ...]
Provider = Literal["cpu", "cuda", "tensorrt"]

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}
_DTYPES |= {f"tensor({name})": name for name in ("int8", "uint8", "int32", "int64", "bool")}
_EXTRAS: dict[Provider, str] = {"cpu": "neural", "cuda": "cuda", "tensorrt": "cuda"}

ORT_NAMES: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""ONNX Runtime's own names of the providers."""


class NetworkError(RuntimeError):
    """A network cannot be loaded or gives nonsense; `sentence` says what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where and how a graph runs. `cache` keeps TensorRT's engines and timings; `half` lets it use half precision.

    On a GPU a node that would run on the CPU is an error unless `allow_cpu_nodes`: it would cost a round trip a frame.
    """

    provider: Provider = "cpu"
    threads: int = 1
    device: int = 0
    half: bool = False
    cache: Path | None = None
    allow_cpu_nodes: bool = False


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
        placement: Placement = Placement(),
        content: bytes | None = None,
    ) -> None:
        self._session = _session(path, placement, content)
        self.inputs = tuple(_described(tensor) for tensor in self._session.get_inputs())
        self.outputs = tuple(_described(tensor) for tensor in self._session.get_outputs())
        if contract is None:
            return
        _require(path, "takes", self.inputs, contract.inputs)
        _require(path, "gives", self.outputs, contract.outputs)
        fault = _self_test(self, contract)
        if fault:
            sentence = f"{path} {fault} on {placement.provider}; try its full-precision file, or another provider."
            raise NetworkError(sentence)

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """Outputs in the graph's order. Raises `NetworkError` when the runtime fails: a lost GPU, a wrong shape."""
        try:
            return tuple(self._session.run(None, dict(feeds)))
        except Exception as error:  # ONNX Runtime's own classes have no common root but this
            raise NetworkError(f"a network failed while it ran: {_first_line(error)}") from error


def largest_difference(graph: Graph, reference: Graph, contract: GraphContract) -> float:
    """How far two placements of one network are apart: the largest absolute difference of any output, on noise.

    A start-up test compares a GPU's half precision with the CPU's full one by it. Infinite where either is not finite.
    """
    feeds = _noise(graph.inputs, contract.free_px, seed=3)
    pairs = zip(graph.run(feeds), reference.run(feeds), strict=True)
    apart = [np.abs(one.astype(np.float64) - other.astype(np.float64)).max() for one, other in pairs]
    return float(max(apart)) if np.isfinite(apart).all() else float("inf")


def available(provider: Provider) -> bool:
    """Whether ONNX Runtime is installed here with that provider. The device behind it may still be absent."""
    try:
        runtime = _onnxruntime(provider)
    except NetworkError:
        return False
    return ORT_NAMES[provider] in runtime.get_available_providers()


def providers(placement: Placement) -> list[tuple[str, dict[str, str]]]:
    """ONNX Runtime's provider list for a placement, best first, with the options that a live server needs."""
    if placement.provider == "cpu":
        return [(ORT_NAMES["cpu"], {})]
    device = str(placement.device)
    # The next free size instead of powers of two, and no search that stalls for seconds at each new shape.
    cuda = {"device_id": device, "arena_extend_strategy": "kSameAsRequested", "cudnn_conv_algo_search": "HEURISTIC"}
    if placement.provider == "cuda":
        return [(ORT_NAMES["cuda"], cuda)]
    trt = {"device_id": device, "trt_fp16_enable": str(int(placement.half))}
    trt["trt_layer_norm_fp32_fallback"] = "1"  # norms overflow in half precision and smear colours
    if placement.cache is not None:
        folder = str(placement.cache)
        trt |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": folder}
        trt |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": folder}
    return [(ORT_NAMES["tensorrt"], trt), (ORT_NAMES["cuda"], cuda)]


def _load(path: Path, threads: int) -> Any:
    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def _shape(detail: dict[str, Any]) -> Shape:
    return tuple(int(size) for size in detail["shape"])


def _onnxruntime(provider: Provider) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        sentence = f"ONNX Runtime is not installed here: run `pip install '.[{_EXTRAS[provider]}]'` in the clone."
        raise NetworkError(sentence) from error
    return onnxruntime


def _session(path: Path, placement: Placement, content: bytes | None) -> Any:
    runtime, name = _onnxruntime(placement.provider), ORT_NAMES[placement.provider]
    if name not in runtime.get_available_providers():
        raise NetworkError(
            f"{placement.provider} was asked for and this ONNX Runtime has no {name}: run `pip uninstall onnxruntime` "
            f"and `pip install '.[{_EXTRAS[placement.provider]}]'`, which install the same module."
        )
    if content is None and not path.is_file():
        raise NetworkError(f"{path} is not there: `mirage-rtc models fetch {path.name}` gets it.")
    try:
        source = str(path) if content is None else content
        session = runtime.InferenceSession(source, _options(runtime, placement), providers=providers(placement))
    except Exception as error:  # ONNX Runtime's own classes have no common root but this
        raise NetworkError(
            f"{path} is not a network that ONNX Runtime can run on {placement.provider} ({_first_line(error)}); "
            f"`mirage-rtc models verify {path.name}` says whether it is damaged."
        ) from error
    if session.get_providers()[0] != name:
        raise NetworkError(
            f"{path} fell back from {placement.provider} to {session.get_providers()[0]}: check the GPU."
        )
    return session


def _options(runtime: Any, placement: Placement) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = placement.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what matters is raised; the rest is noise of old exporters
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if placement.provider != "cpu" and not placement.allow_cpu_nodes:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return options


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


def _self_test(graph: Graph, contract: GraphContract) -> str:
    """Run on two pictures of noise; returns what is wrong with the answers, or nothing."""
    answers = [graph.run(_noise(graph.inputs, contract.free_px, seed)) for seed in (1, 2)]
    if not all(np.isfinite(out).all() for answer in answers for out in answer):
        return "gives numbers that are not finite"
    if any(all(np.ptp(out) == 0 for out in answer) for answer in answers):
        return "gives a constant"
    same = [np.array_equal(one, other) for one, other in zip(*answers, strict=True)]
    return "gives the same answer to different pictures" if all(same) else ""


def _noise(inputs: tuple[TensorSpec, ...], free_px: int, seed: int) -> dict[str, Array]:
    """Uniform in [0, 1): a picture to every network here, whatever its own range is."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for tensor in inputs:
        open_sizes = (1, *(free_px for _ in tensor.shape[1:]))
        sizes = [size or free for size, free in zip(tensor.shape, open_sizes, strict=True)]
        feeds[tensor.name] = rng.random(sizes, np.float32).astype(tensor.dtype)
    return feeds


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]

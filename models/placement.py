"""Where and how a network runs, and ONNX Runtime's provider options for it. Pure configuration, used by `runtime`.

Option names as ONNX Runtime documents them (docs/execution-providers, CUDA and TensorRT); values are text. Its Python
binding reads TensorRT's switches as True, true, False or false and refuses "1", which it takes for CUDA's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Provider = Literal["cpu", "cuda", "tensorrt"]
Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
"""The sizes of every input, by its name."""

ORT_NAMES: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""ONNX Runtime's own names of the providers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where and how a graph runs. `cache` keeps TensorRT's engines and timings; `half` lets it use half precision.

    `captured` replays runs as a CUDA graph: only through buffers that stay, in one thread (`models.static_graph`).
    On a GPU a node that would run on the CPU is an error unless `allow_cpu_nodes`: it would cost a round trip a frame.
    """

    provider: Provider = "cpu"
    threads: int = 1
    device: int = 0
    half: bool = False
    captured: bool = False
    cache: Path | None = None
    allow_cpu_nodes: bool = False

    @property
    def device_name(self) -> str:
        """Where its buffers lie, in ONNX Runtime's words."""
        return "cpu" if self.provider == "cpu" else "cuda"

    def __str__(self) -> str:
        """Such as `tensorrt, half precision`."""
        return f"{self.provider}, half precision" if self.half else self.provider


ON_THE_CPU = Placement()


def providers(placement: Placement, shapes: Sequence[Shapes] = ()) -> list[tuple[str, dict[str, str]]]:
    """ONNX Runtime's provider list for a placement, best first, with the options that a live server needs.

    `shapes` are those that the session will run at, small to large: TensorRT builds one engine for all of them.
    """
    if placement.provider == "cpu":
        return [(ORT_NAMES["cpu"], {})]
    device = str(placement.device)
    # The next free size instead of powers of two, and no search that stalls for seconds at each new shape.
    cuda = {"device_id": device, "arena_extend_strategy": "kSameAsRequested", "cudnn_conv_algo_search": "HEURISTIC"}
    if placement.provider == "cuda":
        return [(ORT_NAMES["cuda"], cuda | ({"enable_cuda_graph": "1"} if placement.captured else {}))]
    trt = {"device_id": device, "trt_fp16_enable": str(placement.half)}
    trt["trt_layer_norm_fp32_fallback"] = "True"  # norms overflow in half precision and smear colours
    trt |= _profile(shapes)
    # TensorRT's provider keeps one captured run a session, whatever its shape: only for a session of one shape.
    if placement.captured and len(shapes) == 1:
        trt["trt_cuda_graph_enable"] = "True"
    if placement.cache is not None:
        folder = str(placement.cache)
        trt |= {"trt_engine_cache_enable": "True", "trt_engine_cache_path": folder}
        trt |= {"trt_timing_cache_enable": "True", "trt_timing_cache_path": folder}
    return [(ORT_NAMES["tensorrt"], trt), (ORT_NAMES["cuda"], cuda)]


def _profile(shapes: Sequence[Shapes]) -> dict[str, str]:
    """TensorRT's explicit range of shapes, tuned for the one in the middle; without it each new size is built anew."""
    if len(shapes) < 2:
        return {}
    ends = {"min": shapes[0], "opt": shapes[len(shapes) // 2], "max": shapes[-1]}
    return {f"trt_profile_{end}_shapes": _in_trt_words(sizes) for end, sizes in ends.items()}


def _in_trt_words(sizes: Shapes) -> str:
    """Such as target:1x3x128x128,source:1x512."""
    return ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in sizes.items())

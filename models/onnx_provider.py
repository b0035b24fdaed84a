"""ONNX Runtime's providers on this machine: whether one is there, whether it runs anything, how a session is set up.

ONNX Runtime lists the providers that it was built with. Whether CUDA's libraries, a driver and a GPU stand behind one
is found by running one node. Called by `runtime`, through which everything else asks.
"""

import contextlib
import functools
import io
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from models.network_error import NetworkError, first_line
from models.placement import ORT_NAMES, Placement, Provider, providers

ONE_NODE = bytes.fromhex(
    "08073a360a0c0a0178120179220452656c751204746573745a0f0a0178120a0a08080112040a020801620f0a0179120a0a08"
    "080112040a0208014202100b"
)
"""A network `x` (1,) -> `y` = Relu(x), as `tests.onnx_writer` writes it: whether a GPU runs anything at all."""
_FULL = ("out of memory", "failed to allocate", "alloc_failed", "bad_alloc")
"""What CUDA, cuBLAS, cuDNN and ONNX Runtime's arena say where there is no room, in small letters."""
_EXTRAS: dict[Provider, str] = {"cpu": "neural", "cuda": "cuda", "tensorrt": "cuda"}


def available(provider: Provider) -> bool:
    """Whether ONNX Runtime is installed here with that provider. The device behind it may be absent: see `usable`."""
    try:
        runtime = loaded(provider)
    except NetworkError:
        return False
    return ORT_NAMES[provider] in runtime.get_available_providers()


def usable(provider: Provider) -> bool:
    """Whether networks run on the provider here. A GPU is opened for the answer, once a process."""
    return not obstacle(provider)


def obstacle(provider: Provider, device: int = 0) -> str:
    """What keeps every network from running on the provider, and what mends it; nothing where they run.

    ONNX Runtime lists what it was built with, and takes the CPU in silence where that does not load.
    """
    try:
        with_provider(provider)
    except NetworkError as missing:
        return missing.sentence
    return "" if provider == "cpu" else _gpu_obstacle(provider, device)


def still_runs(provider: Provider, device: int = 0) -> bool:
    """Whether a provider that was usable runs anything now, asked anew. A GPU that is full is not lost."""
    try:
        taken = _run_one_node(Placement(provider=provider, device=device))
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's own classes have no common root but this
        return any(said in str(error).lower() for said in _FULL)
    return taken == ORT_NAMES[provider]


def cuda_version() -> str:
    """The CUDA that ONNX Runtime was built for, such as "13.0"; empty where it has none or is not installed."""
    try:
        return str(getattr(loaded("cuda"), "cuda_version", "") or "")
    except NetworkError:
        return ""


def version(provider: Provider) -> str:
    """ONNX Runtime's own version. Raises `NetworkError` where it is not installed."""
    return str(loaded(provider).__version__)


def session_options(placement: Placement, fixed: Mapping[str, int]) -> Any:
    """Of every session here; `fixed` gives sizes to those that the graph only names."""
    options = loaded(placement.provider).SessionOptions()
    options.intra_op_num_threads = placement.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what matters is raised; the rest is noise of old exporters
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for name, size in fixed.items():
        options.add_free_dimension_override_by_name(name, size)
    if placement.provider != "cpu" and not placement.allow_cpu_nodes:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return options


def loaded(provider: Provider) -> Any:
    """ONNX Runtime's module. Raises `NetworkError` where it is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        sentence = f"ONNX Runtime is not installed here: run `pip install '.[{_EXTRAS[provider]}]'` in the clone."
        raise NetworkError(sentence) from error
    return onnxruntime


def with_provider(provider: Provider) -> Any:
    """ONNX Runtime, if it was built with the provider. Raises `NetworkError`."""
    runtime, name = loaded(provider), ORT_NAMES[provider]
    if name not in runtime.get_available_providers():
        raise NetworkError(
            f"{provider} was asked for and this ONNX Runtime has no {name}: run `pip uninstall onnxruntime` "
            f"and `pip install '.[{_EXTRAS[provider]}]'`, which install the same module."
        )
    return runtime


@functools.cache
def _gpu_obstacle(provider: Provider, device: int) -> str:
    """Run one node there, with leave to run it on the CPU: what ONNX Runtime would say otherwise is of no help."""
    missing = _preload()
    try:
        taken = _run_one_node(Placement(provider=provider, device=device))
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's own classes have no common root but this
        return _mended(provider, first_line(error))
    return "" if taken == ORT_NAMES[provider] else _mended(provider, missing or "its libraries do not load")


def _run_one_node(placement: Placement) -> str:
    """The provider that took it."""
    runtime = loaded(placement.provider)
    options = session_options(replace(placement, allow_cpu_nodes=True), {})
    listed = providers(placement, ())
    if placement.provider == "tensorrt":
        listed[0][1]["trt_min_subgraph_size"] = "2"  # it shall load, not build an engine, which takes seconds
    session = runtime.InferenceSession(ONE_NODE, options, providers=listed, enable_fallback=False)
    session.run(None, {"x": np.ones(1, np.float32)})
    return str(session.get_providers()[0])


def _mended(provider: Provider, why: str) -> str:
    cuda = cuda_version().split(".")[0]
    if provider == "tensorrt":
        needs = f"TensorRT 10 for CUDA {cuda or '(the version of onnxruntime-gpu)'} must lie on LD_LIBRARY_PATH"
    else:
        needs = f"`pip install '.[cuda]'` brings CUDA {cuda}".rstrip() + " and cuDNN"
    return (
        f"{provider} was asked for and does not run here ({why}): {needs}, and `nvidia-smi` says whether the GPU is "
        "there and its driver new enough."
    )


@functools.cache
def _preload() -> str:
    """Load CUDA and cuDNN out of their wheels, where ONNX Runtime can (1.21 and newer); else the system's are found.

    Returns what it says is missing.
    """
    import onnxruntime

    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is None:
        return ""
    with contextlib.redirect_stdout(io.StringIO()) as said:  # stdout is the server's link's
        preload()
    sys.stderr.write(said.getvalue())
    return said.getvalue().strip().partition("\n")[0]

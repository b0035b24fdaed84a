"""What `mirage-rtc doctor` says of the engines: which would run and why, on what runtime, on what card.

No network is loaded but one of one node, on a GPU: whether the others answer well there is tried at the server's start,
which says what it concluded.
Called by `doctor` once numpy, OpenCV and LiteRT are known to import.
"""

import importlib.metadata
import shutil
from collections.abc import Iterator

from mirage_rtc import model_commands
from mirage_rtc.config import Config
from mirage_rtc.finding import Finding, Grade
from models import engine_cache, gpu_status, runtime
from models.face_engine_choice import planned_engine
from models.face_options import FaceOptions
from models.placement import Provider

HEADLESS = "opencv-python-headless"
OTHER_OPENCVS = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
RUNTIMES = ("onnxruntime", "onnxruntime-gpu")
PROVIDERS: tuple[Provider, ...] = ("cpu", "cuda", "tensorrt")


def examine(config: Config) -> Iterator[Finding]:
    """All of it, from the ground up."""
    yield _opencv()
    yield from _runtime(config)
    yield from _gpu()
    yield _face(config)


def _opencv() -> Finding:
    """Another distribution under the same module may have replaced the headless one, with a GUI's libraries."""
    import cv2

    gui = next((line.split()[-1] for line in cv2.getBuildInformation().splitlines() if "GUI:" in line), "NONE")
    others = _installed(OTHER_OPENCVS)
    if gui == "NONE" and not others:
        return Finding(grade="ok", what=f"OpenCV {cv2.__version__} is the headless build (GUI: NONE)")
    because = f" beside {', '.join(others)}" if others else ""
    return Finding(
        grade="note",
        what=f"OpenCV {cv2.__version__} is a build with GUI: {gui}{because}; a server may lack its libraries",
        mend=f"run `pip uninstall {' '.join([*others, HEADLESS])}`, then `pip install --force-reinstall {HEADLESS}`",
    )


def _runtime(config: Config) -> Iterator[Finding]:
    installed = _installed(RUNTIMES)
    if not installed:
        mend = (
            "for the neural engines run `pip install '.[cuda]'` on an NVIDIA GPU, `pip install '.[neural]'` elsewhere"
        )
        grade: Grade = "note" if config.face_engine == "neural" else "ok"
        yield Finding(grade=grade, what="ONNX Runtime: none; the embedded engines need none", mend=mend)
        return
    listed = [provider for provider in PROVIDERS if runtime.available(provider)]
    if not listed:
        mend = f"run `pip uninstall {' '.join(installed)}`, then install one of the extras neural and cuda"
        yield Finding(grade="note", what=f"{' and '.join(installed)} does not import", mend=mend)
        return
    what = f"ONNX Runtime {runtime.version('cpu')} with {', '.join(listed)}"
    if len(installed) > 1:
        mend = "run `pip uninstall onnxruntime onnxruntime-gpu`, then `pip install '.[cuda]'`"
        yield Finding(grade="note", what=f"{what}; two distributions overwrite each other", mend=mend)
        return
    yield Finding(grade="ok", what=what)
    yield from _tensorrt(config, listed)


def _tensorrt(config: Config, listed: list[Provider]) -> Iterator[Finding]:
    """Its provider is listed wherever ONNX Runtime was built with it; NVIDIA's library is what runs."""
    if config.gpu_runtime != "tensorrt":
        return
    found, obstacle = engine_cache.tensorrt_version(), runtime.obstacle("tensorrt")
    if found and not obstacle:
        yield Finding(grade="ok", what=f"TensorRT {found}; its engines are kept in {config.data_dir / 'compiled'}")
        return
    if "tensorrt" not in listed:
        lacks = "ONNX Runtime has no provider for it"
    else:
        lacks = "ONNX Runtime cannot load it" if found else "libnvinfer is not found"
    mend = f"{obstacle or 'Put TensorRT on LD_LIBRARY_PATH.'} Or set MIRAGE_GPU_RUNTIME=cuda"
    yield Finding(grade="note", what=f"TensorRT was asked for and {lacks}; CUDA is taken", mend=mend)


def _gpu() -> Iterator[Finding]:
    card = gpu_status.device()
    if card is not None:
        memory = f"{card.total_bytes / 2**30:.0f} GiB"
        yield Finding(grade="ok", what=f"GPU: {card.name}, {memory}, CUDA {card.capability}, driver {card.driver}")
        if not runtime.available("cuda"):
            mend = "run `pip uninstall onnxruntime`, then `pip install '.[cuda]'`"
            yield Finding(grade="note", what="the GPU is idle: this ONNX Runtime has no CUDA", mend=mend)
        elif runtime.obstacle("cuda"):
            mend = runtime.obstacle("cuda")
            yield Finding(grade="note", what="the GPU is idle: ONNX Runtime cannot use it", mend=mend)
    elif shutil.which("nvidia-smi") or runtime.available("cuda"):
        mend = "run `nvidia-smi`: it says what is wrong with the driver; `pip install nvidia-ml-py` lets Mirage see it"
        yield Finding(grade="note", what="GPU: none that can be asked, though something of NVIDIA's is here", mend=mend)
    else:
        yield Finding(grade="ok", what="GPU: none; the embedded engines need none")


def _face(config: Config) -> Finding:
    """Which face engine would be opened, by the same questions that the lane asks first."""
    store = model_commands.open_store(config)
    options = FaceOptions(swapper=config.face_swapper, masks=config.face_masks, gpu_runtime=config.gpu_runtime)
    elsewhere = [str(folder) for folder in store.elsewhere]
    name, why = planned_engine(config.face_engine, str(store.root), elsewhere, options)
    if name == "neural":
        return Finding(grade="ok", what=f"face engine: neural, {why}, if it passes its trial at the start")
    what = f"face engine: embedded mesh warp, on the CPU; {why}"
    if config.face_engine != "neural":
        return Finding(grade="ok", what=what)
    return Finding(grade="note", what=what, mend="do what it says, or set MIRAGE_FACE_ENGINE=auto and be content")


def _installed(distributions: tuple[str, ...]) -> list[str]:
    """Those of the distributions that are installed here."""
    return [name for name in distributions if any(importlib.metadata.distributions(name=name))]

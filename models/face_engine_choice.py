"""Which face engine a lane runs: the neural one where weights, a GPU and its start-up test allow it, else the embedded.

Named by the face lane, whose worker calls it at start and again after a loss; `why` of the engine says what decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models import enhancer_choice, mask_choice, swapper_choice
from models.arcface import ArcFace
from models.engines import FaceEngine
from models.enhancer_stage import EnhancerStage
from models.face_options import FaceOptions
from models.graph_opener import FACES, GpuRuntime, GraphOpener
from models.mesh_face_engine import MeshFaceEngine
from models.neural_face_catalog import ARCFACE_CONTRACT, ARCFACE_R50, SCRFD_10G, SCRFD_CONTRACT
from models.neural_face_engine import NeuralFaceEngine
from models.runtime import NetworkError, available, obstacle
from models.scrfd import FAST_PX, THOROUGH_PX, Scrfd
from models.static_graph import StaticShapes
from models.store import ModelMissing, Store

Choice = Literal["auto", "embedded", "neural"]
"""`auto` never takes the neural engine to a CPU, where a frame costs seconds; `neural` does, since somebody said so."""
PICTURES = StaticShapes(sizes_px=(FAST_PX, THOROUGH_PX))
"""What the detector looks at, one at a time."""
_DEFAULTS = FaceOptions()


def open_face_engine(
    choice: Choice, store_root: str, elsewhere: Sequence[str] = (), options: FaceOptions = _DEFAULTS
) -> FaceEngine:
    """A new engine, warm. What keeps the neural one from running is told in `why`, with the command that mends it.

    Raises `ModelMissing` when the embedded engine's own files are absent.
    """
    if choice == "embedded":
        return _embedded(store_root, "the configuration asks for it")
    try:
        return _neural(_needs(choice, _store(store_root, elsewhere), options), options)
    except (ModelMissing, NetworkError) as refused:
        return _embedded(store_root, refused.sentence)


def planned_engine(
    choice: Choice, store_root: str, elsewhere: Sequence[str] = (), options: FaceOptions = _DEFAULTS
) -> tuple[str, str]:
    """The name of the engine that `open_face_engine` would try, and why, without loading a network."""
    if choice == "embedded":
        return MeshFaceEngine.name, "the configuration asks for it"
    try:
        needs = _needs(choice, _store(store_root, elsewhere), options)
    except (ModelMissing, NetworkError) as refused:
        return MeshFaceEngine.name, refused.sentence
    return NeuralFaceEngine.name, " ".join([f"{needs.swappers[0].name} on {needs.gpu or 'cpu'}", *needs.idle])


def _store(store_root: str, elsewhere: Sequence[str]) -> Store:
    return Store(Path(store_root), offline=True, elsewhere=tuple(map(Path, elsewhere)))


def _embedded(store_root: str, why: str) -> MeshFaceEngine:
    engine = MeshFaceEngine(store_root)
    engine.why = why
    return engine


@dataclass(frozen=True, slots=True, kw_only=True)
class _Needs:
    """What the neural engine must have: files that are whole, and what runs them; `gpu` None is the CPU.

    `idle` says why a GPU, or TensorRT on it, is not used although ONNX Runtime was built for it.
    """

    store: Store
    swappers: Sequence[Path]
    detector: Path
    encoder: Path
    gpu: GpuRuntime | None
    idle: tuple[str, ...] = ()


def _needs(choice: Choice, store: Store, options: FaceOptions) -> _Needs:
    """Raises `ModelMissing` or `NetworkError` with what is in the way: cheap questions first."""
    swappers = swapper_choice.files(store, options.swapper)
    detector, encoder = store.path(SCRFD_10G), store.path(ARCFACE_R50)
    gpu, idle = _gpu(options.gpu_runtime)
    if gpu is None and choice == "auto":
        sentence = "this ONNX Runtime has no GPU, and on a CPU the neural engine takes seconds a frame."
        raise NetworkError(" ".join([sentence, *idle]))
    return _Needs(store=store, swappers=swappers, detector=detector, encoder=encoder, gpu=gpu, idle=idle)


def _gpu(wanted: GpuRuntime) -> tuple[GpuRuntime | None, tuple[str, ...]]:
    """What runs networks on the GPU here, None where nothing does, and what is in the way of something better."""
    no_gpu = obstacle("cuda")
    if no_gpu:
        return None, (no_gpu,) if available("cuda") else ()
    no_tensorrt = obstacle("tensorrt") if wanted == "tensorrt" else ""
    return ("cuda", (no_tensorrt,)) if no_tensorrt else (wanted, ())


def _neural(needs: _Needs, options: FaceOptions) -> NeuralFaceEngine:
    """Raises `NetworkError` for a network that is another, or answers nonsense where it would run."""
    opener = GraphOpener(needs.gpu, cache=options.cache)
    detector = Scrfd(opener.open(needs.detector, SCRFD_CONTRACT, shapes=PICTURES))
    encoder = ArcFace(opener.open(needs.encoder, ARCFACE_CONTRACT, shapes=FACES))
    swapper, path, refused = swapper_choice.open_swapper(needs.swappers, opener)
    edges, masks = mask_choice.open_edges(needs.store, options.masks, swapper.size_px, opener)
    enhancers, added = enhancer_choice.open_enhancers(needs.store, options.enhancer, opener)
    stage = EnhancerStage(swapper, enhancers)
    engine = NeuralFaceEngine(detector, encoder, swapper, edges=edges, enhancement=stage)
    engine.warm_up()
    engine.why = " ".join([f"{path.name} on {opener.provider}", *masks, *added, *refused, *opener.said, *needs.idle])
    return engine

"""Which enhancers the neural engine has: those of the store that run in time here, or the one that was asked for.

CodeFormer goes through TensorRT, through torch on a GPU without it, and on ONNX Runtime's CUDA or CPU provider only
when it is named; the others go where the engine's networks go. Called by `face_engine_choice`.
"""

import time
from collections.abc import Callable

from models import codeformer_store, codeformer_torch
from models.engines import EnhancerName
from models.enhancer import Enhancer, EnhancerKind
from models.enhancer_graph import CODEFORMER_KIND, GFPGAN_KIND, GPEN_KIND, GraphEnhancer
from models.enhancer_guard import OPEN_S, GuardedEnhancer
from models.face_options import EnhancerChoice
from models.graph_opener import GraphOpener
from models.neural_face_catalog import CODEFORMER, GFPGAN_1_4, GPEN_256
from models.static_graph import StaticShapes
from models.store import ModelMissing, Store

FACES = StaticShapes(batches=codeformer_torch.BATCHES)
"""A face of CodeFormer fills most of a GPU by itself."""
BUILD_S = 900.0
"""TensorRT builds a network that is new to it for minutes; the lane has an hour."""
KINDS: dict[EnhancerName, EnhancerKind] = {kind.name: kind for kind in (CODEFORMER_KIND, GPEN_KIND, GFPGAN_KIND)}
"""In the order of preference."""

Make = Callable[[], Enhancer]


def open_enhancers(
    store: Store, choice: EnhancerChoice, opener: GraphOpener
) -> tuple[tuple[GuardedEnhancer, ...], tuple[str, ...]]:
    """The enhancers, the preferred one first, and in words what runs and why something that was asked for does not."""
    if choice == "off" or (choice == "auto" and opener.provider == "cpu"):
        return (), ()
    opened, said = [], []
    for name in KINDS if choice == "auto" else (choice,):
        try:
            make = _maker(name, store, opener, asked=choice == name)
        except ModelMissing as missing:
            said += [missing.sentence] if choice == name else []
            continue
        # On a GPU nothing else may be done while a run is captured, so TensorRT's building is waited for.
        open_s = BUILD_S if opener.provider == "tensorrt" else OPEN_S
        guarded = GuardedEnhancer(KINDS[name], make, clock=time.monotonic, open_s=open_s)
        said.append(guarded.off or f"Enhancer {name}.")
        opened += [] if guarded.off else [guarded]
    return tuple(opened), tuple(said)


def _maker(name: EnhancerName, store: Store, opener: GraphOpener, *, asked: bool) -> Make:
    """What opens it, in the thread that will run it. Raises `ModelMissing` when it is not there or not in time."""
    if name == "codeformer":
        return _codeformer_maker(store, opener, asked=asked)
    kind, path = KINDS[name], store.path(GPEN_256 if name == "gpen-256" else GFPGAN_1_4)
    return lambda: GraphEnhancer(opener.open(path, kind.contract), kind)


def _codeformer_maker(store: Store, opener: GraphOpener, *, asked: bool) -> Make:
    if opener.provider == "cuda" and codeformer_torch.torch_has_gpu():
        checkpoint = store.path(CODEFORMER)
        return lambda: codeformer_torch.TorchCodeFormer(checkpoint)
    if opener.provider == "cuda" and not asked:
        raise ModelMissing("CodeFormer needs TensorRT, or torch with CUDA: ONNX Runtime alone takes 100 ms a face.")
    graph = codeformer_store.codeformer_graph(store.root)
    kind = CODEFORMER_KIND
    return lambda: GraphEnhancer(opener.open(graph, kind.contract, shapes=FACES), kind)

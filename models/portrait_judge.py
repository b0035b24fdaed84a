"""Judges portraits off the media path as the engine in force would, without the networks that only a live face needs.

Named by the face lane's `study_engine`; the process that runs it lives for one upload. The neural engine's detector and
encoder run on the CPU there: a second swapper, and a second context on the GPU, would take memory from the calls.
"""

from collections.abc import Sequence
from pathlib import Path

from models.arcface import ArcFace, Embedding
from models.engines import Frame, IdentitySource
from models.face_engine_choice import Choice
from models.face_options import FaceOptions
from models.face_templates import Points, arcface_template
from models.graph_opener import GraphOpener
from models.mesh_face_engine import MeshFaceEngine
from models.neural_face_catalog import ARCFACE_CONTRACT, ARCFACE_R50, SCRFD_10G, SCRFD_CONTRACT
from models.neural_face_engine import NeuralFaceEngine, NeuralIdentity
from models.scrfd import Scrfd
from models.store import Store
from models.swapper import Latent, SwappedCrop


class PortraitJudge:
    """The neural engine as far as `prepare`: the same checks, in the same codes and words."""

    name = NeuralFaceEngine.name

    def __init__(self, detector: Scrfd, encoder: ArcFace) -> None:
        self._engine = NeuralFaceEngine(detector, encoder, _NoSwapper())

    def prepare(self, source: IdentitySource) -> NeuralIdentity:
        """What the engine would make of a portrait, but for the swapper's own part. Raises `PortraitError`."""
        return self._engine.prepare(source)


def open_portrait_judge(
    choice: Choice,
    store_root: str,
    elsewhere: Sequence[str] = (),
    options: FaceOptions | None = None,
    *,
    in_force: str,
) -> PortraitJudge | MeshFaceEngine:
    """The judge for the engine of the name `in_force`; the rest is as for `face_engine_choice.open_face_engine`.

    Raises `ModelMissing` or `NetworkError` when that engine's files are not there any more.
    """
    if in_force != NeuralFaceEngine.name:
        return MeshFaceEngine(store_root)
    store = Store(Path(store_root), offline=True, elsewhere=tuple(map(Path, elsewhere)))
    opener = GraphOpener(None)
    detector = Scrfd(opener.open(store.path(SCRFD_10G), SCRFD_CONTRACT))
    return PortraitJudge(detector, ArcFace(opener.open(store.path(ARCFACE_R50), ARCFACE_CONTRACT)))


class _NoSwapper:
    """Where a swapper belongs and none is needed: an identity is its embedding, and nobody is swapped."""

    size_px = 112
    template_px: Points = arcface_template(112)

    def latent(self, embedding: Embedding) -> Latent:
        """The embedding."""
        return embedding

    def swap(self, crops: Sequence[Frame], latents: Sequence[Latent]) -> list[SwappedCrop | None]:
        """Never: a judge opens no calls."""
        raise NotImplementedError("a judge of portraits swaps no faces")

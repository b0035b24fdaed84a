"""Where CodeFormer's graph lies once its checkpoint was converted: beside the catalogue's files, pinned like them.

Written by `models.convert.enhancer_import`, read by `models.enhancer_choice`.
"""

from pathlib import Path

from models.model_spec import GraphContract, TensorSpec
from models.neural_face_catalog import CODEFORMER
from models.pinned_folders import PinnedFolders
from models.store import ModelMissing
from models.voice_refusal import VoiceRefused

FOLDER = "converted"
NAME = "codeformer"
GRAPH_NAME = "graph.onnx"
SIDE_PX = 512

PICTURE, FIDELITY, RESTORED = "picture", "fidelity", "restored"
CODEFORMER_CONTRACT = GraphContract(
    inputs=(
        TensorSpec(name=PICTURE, shape=(None, 3, SIDE_PX, SIDE_PX)),
        TensorSpec(name=FIDELITY, shape=(None, 1, 1, 1)),
    ),
    outputs=(TensorSpec(name=RESTORED, shape=(None, 3, SIDE_PX, SIDE_PX)),),
)
"""Faces RGB in [-1, 1] and how much of each is to be kept, in [0, 1]; restored faces in the same range, not clipped."""


def converted(store_root: Path) -> PinnedFolders:
    """The converted networks of a model store."""
    return PinnedFolders(store_root / FOLDER)


def codeformer_graph(store_root: Path) -> Path:
    """The verified graph. Raises `ModelMissing` with the command that makes it."""
    try:
        return converted(store_root).verified(NAME) / GRAPH_NAME
    except VoiceRefused:
        raise ModelMissing(
            f"CodeFormer's graph is not in {store_root / FOLDER}, or is damaged. Run `mirage-rtc models import "
            f"{CODEFORMER.name}` where the extra `convert` is installed: it makes the graph of the checkpoint, once."
        ) from None

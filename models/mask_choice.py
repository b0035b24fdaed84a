"""Which masking networks the neural engine takes: those that were chosen and lie in the store. None is required."""

from models.crop_edges import CropEdges
from models.face_options import MaskChoice
from models.face_parser import FaceParser
from models.graph_opener import FACES, GraphOpener
from models.model_spec import ModelSpec
from models.neural_face_catalog import FACE_PARSER, XSEG
from models.runtime import Graph, NetworkError
from models.store import ModelMissing, Store
from models.xseg import XSeg


def open_edges(store: Store, choice: MaskChoice, size_px: int, opener: GraphOpener) -> tuple[CropEdges, list[str]]:
    """The edges for crops of `size_px`, and in words which masks run and why one that lies there does not.

    Without a mask everything is covered, so a damaged file costs no more than its mask.
    """
    said: list[str] = []
    occlusion = _graph(store, XSEG, opener, said) if choice in {"occlusion", "both"} else None
    parser = _graph(store, FACE_PARSER, opener, said) if choice in {"mouth", "both"} else None
    edges = CropEdges(
        size_px,
        occlusion=None if occlusion is None else XSeg(occlusion),
        parser=None if parser is None else FaceParser(parser),
    )
    return edges, said


def _graph(store: Store, spec: ModelSpec, opener: GraphOpener, said: list[str]) -> Graph | None:
    contract = spec.contract
    if contract is None or store.state(spec) == "missing":
        return None
    try:
        graph = opener.open(store.path(spec), contract, shapes=FACES)
    except (ModelMissing, NetworkError) as refused:
        said.append(refused.sentence)
        return None
    said.append(f"with {spec.name}")
    return graph

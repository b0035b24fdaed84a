"""HyperSwap: a swapper of 256 pixels that draws its own edge. Takes ArcFace's embedding as it is, no matrix.

Contract of FaceFusion Labs' 1a, 1b and 1c files: RGB in [-1, 1] both ways, aligned as InSwapper at twice the size; the
second output says what is face. A `models.swapper.Swapper`, opened by `face_engine_choice`.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from models import batched_run, face_templates
from models.arcface import Embedding
from models.engines import Frame
from models.graph_opener import FACES, GraphOpener
from models.neural_face_catalog import HYPERSWAP_CONTRACT
from models.runtime import Array, Graph
from models.swapper import Latent, SwappedCrop, sound_rows

SIZE_PX = 256
TEMPLATE_PX = face_templates.arcface_template(SIZE_PX)


class HyperSwap:
    """Swaps aligned crops."""

    size_px = SIZE_PX
    template_px = TEMPLATE_PX

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def latent(self, embedding: Embedding) -> Latent:
        """The unit embedding (512,) itself."""
        return np.asarray(embedding / np.linalg.norm(embedding), np.float32)

    def swap(self, crops: Sequence[Frame], latents: Sequence[Latent]) -> list[SwappedCrop | None]:
        """Put one latent on each aligned BGR crop (256, 256, 3); see `Swapper.swap`.

        An edge that is not finite is nonsense like a picture; see `swapper.sound_rows`.
        """
        if not crops:
            return []
        blob = cv2.dnn.blobFromImages(list(crops), 1 / 127.5, (SIZE_PX, SIZE_PX), (127.5, 127.5, 127.5), swapRB=True)
        out, edge = batched_run.run(self._graph, {"target": blob, "source": np.stack(latents)})
        answers = zip(out, edge, sound_rows(out, edge), strict=True)
        return [_crop(picture, alpha[0]) if sound else None for picture, alpha, sound in answers]


def open_hyperswap(path: Path, opener: GraphOpener) -> HyperSwap:
    """Load one of the three files. Raises `NetworkError` for any other."""
    return HyperSwap(opener.open(path, HYPERSWAP_CONTRACT, shapes=FACES))


def _crop(picture: Array, alpha: Array) -> SwappedCrop:
    levels = np.clip((picture.transpose(1, 2, 0)[..., ::-1] + 1) * np.float32(127.5), 0, 255)
    edge = np.rint(np.clip(alpha, 0, 1) * 255).astype(np.uint8)
    return SwappedCrop(picture=np.ascontiguousarray(levels.astype(np.uint8)), alpha=edge)

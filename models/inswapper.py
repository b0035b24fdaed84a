"""InSwapper: puts an identity on an aligned face crop of 128 pixels. The neural engine's swapper.

Contract as InsightFace's `INSwapper` has it: an embedding becomes a latent through a matrix that lies in the .onnx file
as its last constant. Faces of several calls go through in one run; pasting is `models.neural_paste`'s.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models import face_templates, neural_graph
from models.arcface import Embedding
from models.engines import Frame
from models.face_templates import Affine, Points
from models.graph_opener import FACES, GraphOpener
from models.neural_face_catalog import INSWAPPER_CONTRACT
from models.runtime import Array, Graph, NetworkError
from models.swapper import Latent, SwappedCrop, sound_rows

SIZE_PX = 128
TEMPLATE_PX = face_templates.arcface_template(SIZE_PX)


class InSwapper:
    """Swaps aligned crops; a `models.swapper.Swapper`. `emap` (512, 512) turns embeddings into latents."""

    size_px = SIZE_PX
    template_px = TEMPLATE_PX

    def __init__(self, graph: Graph, emap: NDArray[np.float32]) -> None:
        if emap.shape != (512, 512):
            raise NetworkError(f"the swapper's identity matrix is {emap.shape} and not (512, 512): a rewritten file?")
        self._graph = graph
        self._emap = emap

    def latent(self, embedding: Embedding) -> Latent:
        """The latent of a unit embedding (512,). Normalised again, since the matrix is not orthogonal."""
        mapped = embedding @ self._emap
        return np.asarray(mapped / np.linalg.norm(mapped), np.float32)

    def swap(self, crops: Sequence[Frame], latents: Sequence[Latent]) -> list[SwappedCrop | None]:
        """Put one latent on each aligned BGR crop (128, 128, 3); the results are BGR crops of the same size.

        See `Swapper.swap`; for what is nonsense `swapper.sound_rows`.
        """
        if not crops:
            return []
        blob = cv2.dnn.blobFromImages(list(crops), 1 / 255, (SIZE_PX, SIZE_PX), swapRB=True)
        (out,) = self._graph.run({"target": blob, "source": np.stack(latents)})
        return [_crop(picture) if sound else None for picture, sound in zip(out, sound_rows(out), strict=True)]


def _crop(picture: Array) -> SwappedCrop:
    levels = np.clip(picture.transpose(1, 2, 0)[..., ::-1] * np.float32(255), 0, 255)
    return SwappedCrop(picture=np.ascontiguousarray(levels.astype(np.uint8)))


def open_inswapper(path: Path, opener: GraphOpener) -> InSwapper:
    """Load an inswapper file with its batch opened; as it is where a GPU refuses that, one face a run.

    Raises `NetworkError` for any other file.
    """
    emap = neural_graph.last_initializer(path)
    content = neural_graph.with_open_batch(path.read_bytes())
    try:
        return InSwapper(opener.open(path, INSWAPPER_CONTRACT, shapes=FACES, content=content), emap)
    except NetworkError as error:
        if opener.provider == "cpu":
            raise
        refused = error.sentence
    # Not while the error is handled: it keeps what was refused on the GPU.
    graph = opener.open(path, INSWAPPER_CONTRACT, shapes=FACES)
    opener.said.append(f"one face a run: {refused}")
    return InSwapper(graph, emap)


def open_first_inswapper(paths: Sequence[Path], opener: GraphOpener) -> tuple[InSwapper, Path, tuple[str, ...]]:
    """Open the first of several files that passes its start-up test: the half-precision one, then the full one.

    Returns it, its path, and why the files before it were refused: half precision gives black squares on some cards.
    Raises the last file's `NetworkError` when none passes, ValueError without files.
    """
    refused: list[str] = []
    for path in paths[:-1]:
        try:
            return open_inswapper(path, opener), path, tuple(refused)
        except NetworkError as error:
            refused.append(error.sentence)
    if not paths:
        raise ValueError("no swapper was named")
    return open_inswapper(paths[-1], opener), paths[-1], tuple(refused)


def alignment(points: Points) -> Affine:
    """The way (2, 3) from picture pixels to the swapper's crop, by the five points (5, 2) of a face."""
    return face_templates.similarity(points, TEMPLATE_PX)

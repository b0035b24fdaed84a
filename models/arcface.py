"""ArcFace: 512 numbers that say who somebody is (Deng et al., arXiv:1801.07698, InsightFace's w600k networks).

The neural engine embeds source portraits with it, and people in the picture where each wears a mask of their own.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models import face_templates
from models.engines import Frame
from models.face_templates import Points
from models.runtime import Graph, NetworkError

SIZE_PX = 112
SAME_PERSON = 0.35
"""Cosine of any two portraits of one person at least, whatever the pose; strangers in the corpus reach 0.21."""

Embedding = NDArray[np.float32]
"""(512,), unit length: the cosine of two people's is near 0, of one person's above 0.3."""


class ArcFace:
    """Embeds faces by their five points, several in one run."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._template = face_templates.arcface_template(SIZE_PX)

    def embed(self, picture: Frame, faces: Sequence[Points]) -> NDArray[np.float32]:
        """Embeddings (n, 512) of the faces of a BGR picture whose points (5, 2) are given; rows of unit length.

        Raises ValueError for points that have no alignment, `NetworkError` for an answer that is not finite.
        """
        if not faces:
            return np.empty((0, 512), np.float32)
        return self.embed_crops([self.aligned(picture, points) for points in faces])

    def aligned(self, picture: Frame, points: Points) -> Frame:
        """The upright crop (112, 112, 3) that the network looks at."""
        return face_templates.crop(picture, face_templates.similarity(points, self._template), SIZE_PX)

    def embed_crops(self, crops: Sequence[Frame]) -> NDArray[np.float32]:
        """Embeddings (n, 512) of BGR crops as `aligned` makes them."""
        blob = cv2.dnn.blobFromImages(list(crops), 1 / 127.5, (SIZE_PX, SIZE_PX), (127.5, 127.5, 127.5), swapRB=True)
        (raw,) = self._graph.run({self._graph.inputs[0].name: blob})
        lengths = np.linalg.norm(raw, axis=1, keepdims=True)
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            raise NetworkError("the identity network gave nothing that is a direction")
        return np.asarray(raw / lengths, np.float32)


def odd_one_out(embeddings: NDArray[np.float32]) -> int | None:
    """Which of the portraits (n, 512) of a person is least like the others, where some two are not of one person."""
    alike = embeddings @ embeddings.T
    if float(alike.min()) >= SAME_PERSON:
        return None
    return int(alike.sum(axis=1).argmin())


def mean_embedding(embeddings: NDArray[np.float32]) -> Embedding:
    """One identity out of several portraits (n, 512) of a person: the direction of their mean, unit length."""
    mean = embeddings.mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), np.float32)

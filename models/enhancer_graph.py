"""Enhancers that are ONNX graphs: CodeFormer as it was converted here, GPEN-256 and GFPGAN 1.4 as they are published.

All take and give RGB in [-1, 1]; CodeFormer also takes how much of its input is to be kept. Made by `enhancer_choice`.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from models import face_templates
from models.codeformer_store import CODEFORMER_CONTRACT
from models.engines import Frame
from models.enhancer import EnhancerKind
from models.neural_face_catalog import GFPGAN_CONTRACT, GPEN_CONTRACT
from models.runtime import Array, Graph

CODEFORMER_KIND = EnhancerKind(
    name="codeformer", size_px=512, template_px=face_templates.FFHQ_512_PX, contract=CODEFORMER_CONTRACT
)
GFPGAN_KIND = EnhancerKind(name="gfpgan", size_px=512, template_px=face_templates.FFHQ_512_PX, contract=GFPGAN_CONTRACT)
# As FaceFusion aligns it: the swappers' own template, so that a crop of theirs goes in as it is, at twice the size.
GPEN_KIND = EnhancerKind(
    name="gpen-256", size_px=256, template_px=face_templates.arcface_template(256), contract=GPEN_CONTRACT
)


class GraphEnhancer:
    """Runs one graph; a `models.enhancer.Enhancer`. The graph was checked against the kind's contract at load."""

    def __init__(self, graph: Graph, kind: EnhancerKind) -> None:
        self._size_px = kind.size_px
        self._graph = graph
        # GPEN and GFPGAN fold the batch into their modulated convolutions, so that it cannot be opened.
        self._one_at_a_time = graph.inputs[0].shape[0] == 1

    def enhance(self, crops: Sequence[Frame], fidelities: Sequence[float]) -> list[Frame | None]:
        """Restore BGR crops (size, size, 3); see `as_pictures`. Raises `NetworkError` when a run fails."""
        blob = cv2.dnn.blobFromImages(
            list(crops), 1 / 127.5, (self._size_px, self._size_px), mean=(127.5, 127.5, 127.5), swapRB=True
        )
        shares = np.asarray(fidelities, np.float32).reshape(-1, 1, 1, 1)
        step = 1 if self._one_at_a_time else len(crops)
        parts = [self._run(blob[at : at + step], shares[at : at + step]) for at in range(0, len(crops), step)]
        return [picture for part in parts for picture in as_pictures(part)]

    def _run(self, blob: Array, shares: Array) -> Array:
        names = [tensor.name for tensor in self._graph.inputs]
        return self._graph.run(dict(zip(names, (blob, shares)[: len(names)], strict=True)))[0]


def as_pictures(out: Array) -> list[Frame | None]:
    """RGB (n, 3, size, size) in [-1, 1] as BGR pictures; None for one that is not finite, or one colour all over."""
    return [_as_picture(one) for one in out]


def _as_picture(out: Array) -> Frame | None:
    if not np.isfinite(out).all() or np.ptp(out) == 0:
        return None
    levels = np.clip(out * np.float32(127.5) + np.float32(128), 0, 255).astype(np.uint8)
    return np.asarray(cv2.merge(list(levels[::-1])), np.uint8)

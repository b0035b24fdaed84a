"""XSeg: what of a face crop is face and what lies before it, such as a hand or a microphone.

Contract of FaceFusion's export of DeepFaceLab's network (xseg_3.onnx): BGR in [0, 1], channels last, 256 pixels; the
answer is 1 where the face is seen. Used by `models.crop_edges`.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models import batched_run
from models.engines import Frame
from models.runtime import Graph, NetworkError

SIZE_PX = 256

Plane = NDArray[np.float32]


class XSeg:
    """Finds what hides a face."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def visible(self, crops: Sequence[Frame]) -> list[Plane]:
        """For each square BGR crop a plane (256, 256) in [0, 1]: how much of each pixel is face.

        Raises `NetworkError` for an answer that is not finite.
        """
        if not crops:
            return []
        sized = [cv2.resize(crop, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_LINEAR) for crop in crops]
        blob = np.stack(sized).astype(np.float32) / np.float32(255)
        (seen,) = batched_run.run(self._graph, {self._graph.inputs[0].name: blob})
        if not np.isfinite(seen).all():
            raise NetworkError("the occlusion network gave numbers that are not finite")
        return [np.clip(plane, 0, 1).astype(np.float32) for plane in seen.reshape(len(crops), SIZE_PX, SIZE_PX)]

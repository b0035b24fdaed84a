"""BiSeNet: which part of a face each pixel of a crop is, after CelebAMask-HQ's 19 classes (arXiv:1808.00897).

Contract of yakhyo's ResNet-34 export (bisenet_resnet_34.onnx): RGB by ImageNet's mean and spread, 512 pixels, class
scores out. Used by `models.crop_edges` for the inside of the mouth, which swappers make badly.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models import batched_run
from models.engines import Frame
from models.runtime import Graph, NetworkError

SIZE_PX = 512
CLASSES = 19
INNER_MOUTH = 11
"""Teeth and tongue; the lips are 12 and 13."""
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_SPREAD = np.array([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet, RGB."""

Classes = NDArray[np.uint8]


class FaceParser:
    """Names the parts of aligned faces."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def classes(self, crops: Sequence[Frame]) -> list[Classes]:
        """For each square BGR crop the class of each pixel (512, 512). Raises `NetworkError` for nonsense."""
        if not crops:
            return []
        sized = np.stack([cv2.resize(crop, (SIZE_PX, SIZE_PX)) for crop in crops])[..., ::-1]
        blob = (sized.astype(np.float32) / np.float32(255) - _MEAN) / _SPREAD
        given = {self._graph.inputs[0].name: np.ascontiguousarray(blob.transpose(0, 3, 1, 2))}
        scores = batched_run.run(self._graph, given)[0]
        if scores.shape[1:] != (CLASSES, SIZE_PX, SIZE_PX) or not np.isfinite(scores).all():
            raise NetworkError("the face parser gave no finite score for each of its 19 classes")
        return [np.argmax(each, axis=0).astype(np.uint8) for each in scores]

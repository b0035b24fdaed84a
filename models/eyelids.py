"""Blinking for a worn face: the identity's lids close when the wearer's do.

The landmark network closes an eye by a third at most, and the worn shape adds its own opening on top, so that a blink
would be lost and the face stare. `FaceDresser` holds one `Eyelids` a face.
"""

import numpy as np
from numpy.typing import NDArray

from models import face_mesh

UPPER = np.array([[246, 161, 160, 159, 158, 157, 173], [466, 388, 387, 386, 385, 384, 398]])
LOWER = np.array([[7, 163, 144, 145, 153, 154, 155], [249, 390, 373, 374, 380, 381, 382]])
"""Opposite points of both lids, for the eye at the image's left and the one at its right."""
MIDDLE = slice(2, 5)
SHUT_RATIO, OPEN_RATIO = 0.72, 0.9
"""The gap over the wearer's usual gap: shut below the first, wide open above the second (measured on GRID clips)."""
FORGET_S = 30.0
CLOSED_SHARE = 0.92


class Eyelids:
    """How far each eye of a wearer usually opens, and hence when it is shut."""

    def __init__(self) -> None:
        self._usual = np.full(2, 1e-3, np.float32)

    def follow(self, points: face_mesh.Points, landmarks: face_mesh.Points, elapsed_s: float) -> face_mesh.Points:
        """Lower the upper lids of the worn face at `points` as the wearer's at `landmarks` are; changes `points`."""
        gap = _gaps(landmarks)
        faded = self._usual * np.float32(1 - min(elapsed_s / FORGET_S, 1.0))
        self._usual = np.maximum(np.maximum(gap, faded), np.float32(1e-3))
        openness = np.clip((gap / self._usual - SHUT_RATIO) / (OPEN_RATIO - SHUT_RATIO), 0, 1)
        lowered = (CLOSED_SHARE * (1 - openness))[:, None, None].astype(np.float32)
        points[UPPER] += (points[LOWER] - points[UPPER]) * lowered
        return points


def _gaps(landmarks: face_mesh.Points) -> NDArray[np.float32]:
    width = max(float(np.linalg.norm(landmarks[33] - landmarks[263])), 1.0)
    apart = np.linalg.norm(landmarks[UPPER[:, MIDDLE]] - landmarks[LOWER[:, MIDDLE]], axis=2)
    return np.asarray(apart.mean(1) / width, np.float32)

"""Whether a carried face is surely where it is thought to be, and the way from there to the swapper's crop.

What fails here is blurred by the neural engine: a swap in the wrong place shows the raw face beside it.
"""

import numpy as np

from models import face_templates
from models.carried_faces import CarriedFace
from models.engines import Frame
from models.face_templates import Affine, Points
from models.geometry import inside_share

MIN_CONFIDENCE = 0.4
"""Below it nobody can say that the face lies where it is thought to be."""
MIN_FACE_PX = 24
MIN_INSIDE = 0.5
"""Of the box's area within the picture."""
MAX_MISFIT = 0.11
"""Of the five points from the template, root mean square in shares of the crop: 0.02 in front, 0.08 in profile."""


def alignment(face: CarriedFace, frame: Frame, template_px: Points, size_px: int) -> Affine | None:
    """The way (2, 3) to the face's crop; None for one that is not surely there, too small, or mostly out of view."""
    if face.confidence < MIN_CONFIDENCE or not (np.isfinite(face.points).all() and np.isfinite(face.box).all()):
        return None
    if float((face.box[2:] - face.box[:2]).min()) < MIN_FACE_PX:
        return None
    if inside_share(face.box, frame.shape[1], frame.shape[0]) < MIN_INSIDE or np.ptp(face.points, axis=0).min() < 1:
        return None
    to_crop = face_templates.similarity(face.points, template_px)
    off_px = face.points @ to_crop[:, :2].T + to_crop[:, 2] - template_px
    misfit = float(np.sqrt((off_px**2).sum(axis=1).mean())) / size_px
    return to_crop if misfit <= MAX_MISFIT else None


def nose_offset(points: Points) -> float:
    """How far the nose is from the middle between the eyes, along the line through them, in their distance.

    0 from the front, about 0.4 at 30 degrees of turn and 0.8 at 55.
    """
    left, right, nose = (np.asarray(point, np.float64) for point in points[:3])
    across = right - left
    return abs(float((nose - (left + right) / 2) @ across)) / max(float(across @ across), 1e-9)

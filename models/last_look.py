"""What a face looked like when it was last followed, and whether it is still at that place: for who is no longer found.

A detector that finds somebody no more does not say that they left. The trackers of both engines ask here before they
believe so.
"""

import cv2
import numpy as np

from models.geometry import Floats, grown
from models.point_carrier import Grey

_SIDE_PX = 24
_AROUND = 0.5  # in sides of the box, how far a face that is still there may have moved
STILL_THERE = 0.6
"""Correlation, from -1 to 1, from which the place looks as it did. In the corpus a face that talks stays above 0.9,
one that is half hidden above 0.75; a wall reaches 0.2, the rest of a picture 0.6."""


def look(grey: Grey, box: Floats) -> Grey | None:
    """The face at `box` (4,) of a grey picture, small; None where the picture does not hold the whole box."""
    height_px, width_px = grey.shape
    x0, y0, x1, y1 = np.rint(box).astype(int)
    if x0 < 0 or y0 < 0 or x1 > width_px or y1 > height_px or x1 - x0 < 2 or y1 - y0 < 2:
        return None
    return np.asarray(cv2.resize(grey[y0:y1, x0:x1], (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA), np.uint8)


def is_still_there(seen: Grey | None, grey: Grey, box: Floats) -> bool:
    """Whether a grey picture shows at about `box` (4,) what was `seen` there; no where nothing was."""
    if seen is None:
        return False
    height_px, width_px = grey.shape
    x0, y0, x1, y1 = np.rint(grown(box, _AROUND)).clip(0, [width_px, height_px] * 2).astype(int)
    scale = _SIDE_PX / np.maximum(box[2:] - box[:2], 1.0)
    size = np.rint((x1 - x0, y1 - y0) * scale).astype(int)
    if size.min() < _SIDE_PX:
        return False
    around = cv2.resize(grey[y0:y1, x0:x1], (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA)
    return float(cv2.matchTemplate(around, seen, cv2.TM_CCOEFF_NORMED).max()) >= STILL_THERE

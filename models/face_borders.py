"""Where one swapped face ends and the next begins, when two are so near that each lies in the other's crop.

All crops are cut out of the raw frame, so the edge of one holds the raw face beside it: pasted later, it would lay that
over the other's finished swap. So each face is pasted only where it is the nearer one. Called by the neural wearer.
"""

from collections.abc import Sequence

import numpy as np

from models import face_templates
from models.crop_edges import CORE_CENTRE, CORE_RADII
from models.face_templates import Affine
from models.geometry import Floats
from models.neural_paste import Alpha

REACH = 1.6
"""Crop sides from one face's middle to the other's, beyond which neither lies in the other's crop."""


def kept_apart(alphas: Sequence[Alpha], to_crops: Sequence[Affine]) -> list[Alpha]:
    """The alphas (size, size) of faces of one frame, each cut where another face is nearer, by `to_crops` (2, 3).

    Near is by the ellipses of the faces' middles, so that a small face keeps its own pixels beside a large one.
    """
    return [_cut(own, alphas[own], to_crops) for own in range(len(alphas))]


def _cut(own: int, alpha: Alpha, to_crops: Sequence[Affine]) -> Alpha:
    size_px = len(alpha)
    for other, to_other in enumerate(to_crops):
        if other == own:
            continue
        across = _composed(to_other, face_templates.inverse(to_crops[own]))
        if not _in_reach(across, size_px):
            continue
        mine, theirs = _distance(np.eye(2, 3), size_px), _distance(across, size_px)
        # At equal distance one of the two has to cover: the first.
        alpha = np.where(theirs < mine if own < other else theirs <= mine, 0, alpha).astype(np.uint8)
    return alpha


def _composed(outer: Affine, inner: Affine) -> Affine:
    """First `inner`, then `outer`."""
    turn = outer[:, :2] @ inner[:, :2]
    return np.column_stack([turn, outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def _in_reach(across: Affine, size_px: int) -> bool:
    """Whether the middles of the two faces are near, in sides of the larger crop."""
    middle = np.full(2, size_px / 2)
    apart = float(np.linalg.norm(across[:, :2] @ middle + across[:, 2] - middle))
    scale = float(np.sqrt(abs(np.linalg.det(across[:, :2]))))
    return apart <= REACH * size_px * max(1.0, scale)


def _distance(across: Affine, size_px: int) -> Floats:
    """Of each pixel of the own crop from the middle of a face whose crop lies `across`: 1 on the rim of its middle."""
    ticks = np.arange(size_px) + 0.5
    x, y = np.meshgrid(ticks, ticks)
    at_x = (across[0, 0] * x + across[0, 1] * y + across[0, 2]) / size_px
    at_y = (across[1, 0] * x + across[1, 1] * y + across[1, 2]) / size_px
    far = ((at_x - CORE_CENTRE[0]) / CORE_RADII[0]) ** 2 + ((at_y - CORE_CENTRE[1]) / CORE_RADII[1]) ** 2
    return np.asarray(far, np.float32)

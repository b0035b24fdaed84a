"""Where five points of a face lie in the crops that face networks were trained on, and the turn that brings them there.

Points are the eyes, the nose tip and the mouth corners, left in the picture first: (5, 2) in pixels, y down. Called by
the identity, swap and enhancer networks.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.engines import Frame

Points = NDArray[np.floating]
Affine = NDArray[np.float64]
"""(2, 3): from picture pixels to crop pixels unless said otherwise."""

ARCFACE_112_PX = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float64
)
"""The 112 x 112 crop of ArcFace (Deng et al., arXiv:1801.07698)."""

FFHQ_512_PX = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ],
    np.float64,
)
"""The 512 x 512 crop of restorers trained on FFHQ, as CodeFormer and GFPGAN use it (facexlib)."""


def arcface_template(size_px: int) -> Points:
    """The five points in a square crop of `size_px`: as trained for multiples of 112, 8 in 128 farther right for 128.

    InsightFace `face_align.estimate_norm`; raises ValueError for any other size.
    """
    if size_px % 112 == 0:
        return np.asarray(ARCFACE_112_PX * (size_px / 112))
    if size_px % 128 == 0:
        return np.asarray((ARCFACE_112_PX + np.array([8.0, 0.0])) * (size_px / 128))
    raise ValueError(f"{size_px} is a multiple of neither 112 nor 128")


def similarity(points: Points, template: Points) -> Affine:
    """The turn, scale and shift (2, 3) that bring `points` nearest to `template` in least squares.

    Umeyama 1991, without reflection: in the plane it is one complex regression. Points that coincide have no scale:
    raises ValueError for them, and for numbers that are not finite.
    """
    source = points[:, 0].astype(np.float64) + 1j * points[:, 1].astype(np.float64)
    target = template[:, 0] + 1j * template[:, 1]
    centred = source - source.mean()
    spread = float((np.conj(centred) @ centred).real)
    if not 1e-6 < spread < np.inf:
        raise ValueError("five points that coincide, or are no numbers, have no alignment")
    turn = (np.conj(centred) @ (target - target.mean())) / spread
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def crop(picture: Frame, to_crop: Affine, size_px: int) -> Frame:
    """The square crop, bilinear, black beyond the picture's edges."""
    return np.asarray(cv2.warpAffine(picture, to_crop, (size_px, size_px), flags=cv2.INTER_LINEAR), np.uint8)


def inverse(affine: Affine) -> Affine:
    """The way back, (2, 3)."""
    return np.asarray(cv2.invertAffineTransform(affine), np.float64)

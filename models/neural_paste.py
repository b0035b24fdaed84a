"""Pastes a swapped crop back, touching only the pixels that it covers. Called by the neural engine, last of all.

The edge is soft by an alpha that is drawn once, in crop pixels; a frame pays for one warp of four channels and a blend
of the region, not for masks, erosions and blurs of the whole picture.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models import face_templates
from models.engines import Frame
from models.face_templates import Affine

Alpha = NDArray[np.uint8]
"""(size, size) of a crop: 255 is all swapped, 0 all of the picture. The outermost pixels are 0."""

_RADIUS = 0.46
_SOFT = 0.12
_POWER = 4.0


def soft_alpha(size_px: int) -> Alpha:
    """An alpha for crops of `size_px`: a rounded square that holds brows and chin, fading to the crop's edges."""
    ticks = (np.arange(size_px) + 0.5) / size_px - 0.5
    x, y = np.meshgrid(ticks, ticks)
    radius = (np.abs(x) ** _POWER + np.abs(y) ** _POWER) ** (1 / _POWER)
    fade = np.clip((_RADIUS - radius) / _SOFT, 0, 1)
    alpha = np.rint(255 * fade * fade * (3 - 2 * fade)).astype(np.uint8)
    return alpha


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A rectangle of a frame in whole pixels, x1 and y1 exclusive, and the way (2, 3) from crop pixels into it."""

    x0: int
    y0: int
    x1: int
    y1: int
    from_crop: Affine


def paste(frame: Frame, swapped: Frame, alpha: Alpha, to_crop: Affine) -> None:
    """Blend a swapped BGR crop into `frame` (height, width, 3), in place, where `to_crop` (2, 3) took it from.

    Pixels outside the crop's outline stay as they are, byte by byte; a crop that lies beyond the edge is cut there.
    """
    patch = covered(frame, alpha, to_crop)
    if patch is None:
        return
    layer = np.asarray(cv2.merge([swapped, alpha]), np.uint8)
    size = patch.x1 - patch.x0, patch.y1 - patch.y0
    # Repeating the edge keeps dark rims out of the colours; the alpha repeats its own zeros.
    warped = cv2.warpAffine(layer, patch.from_crop, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    blend(frame[patch.y0 : patch.y1, patch.x0 : patch.x1], np.asarray(warped, np.uint8))


def blend(region: Frame, layer: NDArray[np.uint8]) -> None:
    """Lay a BGRA layer over a BGR region of the same size, in place, to within one level."""
    alpha = cv2.cvtColor(layer[..., 3], cv2.COLOR_GRAY2BGR)
    over = cv2.multiply(cv2.cvtColor(layer, cv2.COLOR_BGRA2BGR), alpha, scale=1 / 255)
    under = cv2.multiply(region, cv2.bitwise_not(alpha), scale=1 / 255)
    cv2.add(over, under, dst=region)


def covered(frame: Frame, alpha: Alpha, to_crop: Affine) -> Patch | None:
    """The part of the frame where the alpha is not nothing; None when the face lies outside."""
    from_crop = face_templates.inverse(to_crop)
    x, y, width, height = cv2.boundingRect(alpha)
    corners = np.array([[x - 1, y - 1], [x + width, y - 1], [x - 1, y + height], [x + width, y + height]], np.float64)
    at = corners @ from_crop[:, :2].T + from_crop[:, 2]
    low, high = np.floor(at.min(axis=0)), np.ceil(at.max(axis=0)) + 1
    x0, y0 = (int(max(value, 0)) for value in low)
    x1, y1 = (int(min(value, limit)) for value, limit in zip(high, frame.shape[1::-1], strict=True))
    if x1 <= x0 or y1 <= y0:
        return None
    from_crop[:, 2] -= (x0, y0)
    return Patch(x0=x0, y0=y0, x1=x1, y1=y1, from_crop=from_crop)

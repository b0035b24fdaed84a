"""Giving a worn face the colour and the light of the wearer's: Lab statistics, then low-frequency relighting.

Works on small pictures of the mesh grid and returns a small BGR difference, so that fine detail of the texture is
untouched. One `ColourMatch` a face and call; its statistics are smoothed over frames against flicker.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.engines import Frame

Plane = NDArray[np.float32]

SMOOTHING = 0.15
MIN_SKIN_CELLS = 40
GAIN_RANGE = (0.45, 1.3)
LIGHT_SHARE = np.array([0.8, 0.9, 0.9], np.float32)
"""How much of the wearer's low-frequency light (L) and tint (a, b) replaces the texture's own."""
LIGHT_SIGMA = 0.15
MAX_RELIGHT = 45.0


class ColourMatch:
    """Colour statistics of one worn face, carried from frame to frame."""

    def __init__(self) -> None:
        self._statistics: Plane | None = None

    def difference(self, texture: Frame, wearer: Frame, skin: Plane) -> NDArray[np.int16] | None:
        """BGR to add to `texture` (rows, columns, 3) so that it matches `wearer` where `skin` (0..1) counts.

        None when too little skin is seen to measure and nothing was measured before.
        """
        texture_lab, wearer_lab = _lab(texture), _lab(wearer)
        statistics = self._update(texture_lab, wearer_lab, skin)
        if statistics is None:
            return None
        matched = _match(texture_lab, statistics)
        matched += LIGHT_SHARE * _low_frequency(wearer_lab - matched, skin)
        return _as_difference(matched, texture)

    def _update(self, texture_lab: Plane, wearer_lab: Plane, skin: Plane) -> Plane | None:
        counted = np.where(skin > 0.4, 255, 0).astype(np.uint8)
        if cv2.countNonZero(counted) < MIN_SKIN_CELLS:
            return self._statistics
        measured = np.concatenate([_mean_spread(texture_lab, counted), _mean_spread(wearer_lab, counted)])
        if self._statistics is None:
            self._statistics = measured
        else:
            self._statistics = self._statistics + np.float32(SMOOTHING) * (measured - self._statistics)
        return self._statistics


def shade(texture: Frame, wearer: Frame, skin: Plane, share: float) -> NDArray[np.int16]:
    """BGR to add to an opaque mask so that the scene's broad light falls on it; its own colours stay."""
    light = _lab(wearer)[..., :1]
    mean = float((light[..., 0] * skin).sum() / (skin.sum() + 1e-3))
    texture_lab = _lab(texture)
    relief = np.clip(_low_frequency(light - mean, skin, 2.0), -MAX_RELIGHT, MAX_RELIGHT)
    exposure = np.clip((mean - 150) * 0.25, -30, 12)
    texture_lab[..., :1] += np.float32(share) * (relief + exposure)
    return _as_difference(texture_lab, texture)


def _lab(picture: Frame) -> Plane:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2LAB).astype(np.float32)


def _mean_spread(lab: Plane, counted: Frame) -> Plane:
    mean, spread = cv2.meanStdDev(lab, mask=counted)
    return np.stack([mean[:, 0], spread[:, 0] + 1]).astype(np.float32)


def _match(texture_lab: Plane, statistics: Plane) -> Plane:
    """Shift and scale Lab (Reinhard et al., "Color transfer between images", 2001), the gain bounded."""
    texture_mean, texture_spread, wearer_mean, wearer_spread = statistics
    gain = np.clip(wearer_spread / texture_spread, *GAIN_RANGE)
    return np.asarray((texture_lab - texture_mean) * gain + wearer_mean, np.float32)


def _low_frequency(values: Plane, weight: Plane, width: float = 1.0) -> Plane:
    """Normalised blur of values where they count, at a third of the resolution."""
    rows, columns = weight.shape
    small = (max(columns // 3, 4), max(rows // 3, 4))
    sigma = LIGHT_SIGMA * width * max(small)
    light = cv2.resize(values * weight[..., None], small, interpolation=cv2.INTER_AREA)
    mass = cv2.resize(weight, small, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(light, (0, 0), sigma).reshape(small[1], small[0], -1)
    blurred = blurred / (cv2.GaussianBlur(mass, (0, 0), sigma)[..., None] + 0.03)
    clipped = np.clip(blurred, -MAX_RELIGHT, MAX_RELIGHT)
    enlarged = cv2.resize(clipped, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, np.float32).reshape(rows, columns, -1)


def _as_difference(lab: Plane, texture: Frame) -> NDArray[np.int16]:
    wanted = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR)
    difference = cv2.subtract(wanted, texture, dtype=cv2.CV_16S)
    return np.asarray(cv2.GaussianBlur(difference, (0, 0), 1.2), np.int16)

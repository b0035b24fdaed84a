"""Gives a swapped crop the colours of the raw one: mean and spread in Lab (Reinhard et al. 2001), smoothed over frames.

Only those six numbers of the raw face are used, each within bounds, so that nothing of its drawing comes through. One
`CropColour` a face of a call; called by the neural engine before pasting.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.engines import Frame
from models.neural_paste import Alpha

SMOOTHING = 0.15
GAIN_RANGE = (0.8, 1.25)
SHIFT_MOST = 24.0
"""Levels of Lab: more is a wrong face or a lamp, which are not to be followed."""

Numbers = NDArray[np.float32]


class CropColour:
    """One face's colours, carried from frame to frame."""

    def __init__(self) -> None:
        self._tone: Numbers | None = None

    def matched(self, swapped: Frame, raw: Frame, alpha: Alpha) -> Frame:
        """The swapped BGR crop in the colours of the raw one, by the pixels where `alpha` is more than half."""
        counted = np.where(alpha > 127, 255, 0).astype(np.uint8)
        if cv2.countNonZero(counted) < counted.size // 20:
            return swapped
        lab = np.asarray(cv2.cvtColor(swapped, cv2.COLOR_BGR2LAB), np.uint8)
        gain, shift = self._follow(lab, np.asarray(cv2.cvtColor(raw, cv2.COLOR_BGR2LAB), np.uint8), counted)
        levels = np.arange(256, dtype=np.float32)
        table = np.clip(levels[None, :, None] * gain + shift, 0, 255)
        toned = cv2.LUT(lab, np.rint(table).astype(np.uint8))
        return np.asarray(cv2.cvtColor(np.asarray(toned, np.uint8), cv2.COLOR_LAB2BGR), np.uint8)

    def _follow(self, swapped: Frame, raw: Frame, counted: Alpha) -> Numbers:
        """Gain and shift (2, 3) of the Lab channels, moved a step towards those of this frame."""
        mean, spread = _mean_spread(swapped, counted)
        wanted_mean, wanted_spread = _mean_spread(raw, counted)
        gain = np.clip(wanted_spread / np.maximum(spread, 1.0), *GAIN_RANGE)
        shift = mean * (1 - gain) + np.clip(wanted_mean - mean, -SHIFT_MOST, SHIFT_MOST)
        wanted = np.stack([gain, shift]).astype(np.float32)
        before = wanted if self._tone is None else self._tone
        self._tone = before + np.float32(SMOOTHING) * (wanted - before)
        return self._tone


def _mean_spread(lab: Frame, counted: Alpha) -> tuple[Numbers, Numbers]:
    mean, spread = cv2.meanStdDev(lab, mask=counted)
    return mean[:, 0].astype(np.float32), spread[:, 0].astype(np.float32)

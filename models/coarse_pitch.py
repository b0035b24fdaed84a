"""The pitch as RVC's text encoder takes it: 1 for unvoiced, else one of 255 steps on a mel scale.

The table is RVC-Project's (MIT): 50 to 1100 Hz, mel = 1127 ln(1 + f / 700).
"""

import numpy as np
from numpy.typing import NDArray

LOW_HZ, HIGH_HZ = 50.0, 1100.0
LAST_STEP = 255
_LOW_MEL, _HIGH_MEL = 1127.0 * np.log1p(np.array([LOW_HZ, HIGH_HZ]) / 700.0)


def coarse_pitch(pitch_hz: NDArray[np.floating]) -> NDArray[np.int64]:
    """Steps 1..255, int64, of a pitch in Hz (0 unvoiced), any shape; shift the pitch first. Halves go to the even."""
    mel = 1127.0 * np.log1p(np.asarray(pitch_hz, np.float64) / 700.0)
    step = (mel - _LOW_MEL) * (LAST_STEP - 1) / (_HIGH_MEL - _LOW_MEL) + 1
    return np.asarray(np.rint(np.clip(np.where(mel > 0, step, 1), 1, LAST_STEP)), np.int64)

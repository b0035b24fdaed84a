"""From RMVPE's 360 activations a frame to a pitch in Hz, in numpy.

Wei et al. 2023 (arXiv 2306.15412) as RVC-Project (MIT) decodes it: bins are 20 cents apart, the pitch is the mean of
the nine around the strongest, weighted by activation; a frame whose strongest is not above the threshold is unvoiced.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

BINS = 360
CENTS_PER_BIN = 20
FIRST_BIN_CENTS = 1997.3794084376191
REFERENCE_HZ = 10.0
REACH = 4
"""Bins to each side of the strongest that take part."""
VOICED_ABOVE = 0.03

_CENTS = np.pad(CENTS_PER_BIN * np.arange(BINS) + FIRST_BIN_CENTS, REACH)


def pitch_hz(salience: NDArray[np.float32], threshold: float = VOICED_ABOVE) -> NDArray[np.float64]:
    """Pitch [T] in Hz, 0 where unvoiced, of `salience` [T, 360] in [0, 1]."""
    strongest = salience.argmax(axis=1)
    rows = np.arange(len(salience))
    near = sliding_window_view(np.pad(salience, ((0, 0), (REACH, REACH))), 2 * REACH + 1, axis=1)[rows, strongest]
    cents = sliding_window_view(_CENTS, 2 * REACH + 1)[strongest]
    weight = near.sum(axis=1)
    # A silent frame has no weight at all: its pitch is set to 0 below, whatever is divided here.
    mean = (near * cents).sum(axis=1) / np.where(weight > 0, weight, np.float32(1))
    return np.where(salience.max(axis=1) > threshold, REFERENCE_HZ * 2.0 ** (mean / 1200.0), 0.0)

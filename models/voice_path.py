"""The way from one voice to another, kept off the speaker's own: a glide from lower to higher must not sound like them.

What `voice_presets.too_close` refuses as a voice is a rectangle in semitones and log formants around the speaker. A
frame that a glide, or a melody that is narrowed, would put into it goes on to where the straight way to the new voice
leaves it. The pitch of two frames may differ as it likes: pulses and grains are placed one by one, so nothing clicks.
Called by `models.voice_shaping`.
"""

from math import log

import numpy as np
from numpy.typing import NDArray

from models.voice_presets import LEAST_FORMANT_CHANGE, LEAST_SEMITONES

_BOUNDS = np.array([LEAST_SEMITONES * log(2.0) / 12, log(1.0 + LEAST_FORMANT_CHANGE)])
"""Half the rectangle's sides, in natural logarithms."""

Array = NDArray[np.float64]


def keep_away(way: Array, target: Array, f0_hz: Array, usual_hz: float) -> Array:
    """The rows of `way` (n, >= 3: slope, offset, log formant ratio) with no voiced frame that is the speaker's.

    `f0_hz` (n,) is the speaker's pitch, 0 where unvoiced, `usual_hz` its median; `target` the row that the way leads
    to. Frames of one pitch whatever is said, slope 0, stay as they are.
    """
    own = np.log(np.where(f0_hz > 0, f0_hz, 1.0))
    here = _place(way, own)
    near = (f0_hz > 0) & (way[:, 0] != 0) & (np.abs(here).max(axis=1) < 1)
    if not near.any():
        return way
    goal = _place(np.broadcast_to(target, (len(way), len(target))), own)
    lost = np.abs(goal).max(axis=1) < 1
    goal[lost, 0] = -1.0 if _place(target[None], np.array([log(usual_hz)]))[0, 0] < 0 else 1.0
    step = (_border(here[near], goal[near]) - here[near]) * _BOUNDS
    moved = way.copy()
    moved[near, 1:3] += step
    return moved


def _place(rows: Array, own: Array) -> Array:
    """(n, 2): how far pitch and formants are from the speaker's, in bounds of what is too close."""
    return np.asarray(np.stack([(rows[:, 0] - 1) * own + rows[:, 1], rows[:, 2]], axis=1) / _BOUNDS)


def _border(here: Array, goal: Array) -> Array:
    """Where the straight way from inside the square of +-1 to a goal outside crosses its border."""
    way = goal - here
    apart = np.where(way == 0, 1.0, way)
    shares = np.where(way == 0, np.inf, (np.sign(way) - here) / apart)
    return np.asarray(here + way * shares.min(axis=1, keepdims=True))

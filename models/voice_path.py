"""The way from one voice to another, kept off the speaker's own: a glide from lower to higher must not sound like them.

What `voice_presets.too_close` refuses as a voice is a rectangle in semitones and log formants around the speaker. A
frame that a glide, or a melody that is narrowed, would put into it goes on to where the straight way to the new voice
leaves it. The pitch of two frames may differ as it likes: pulses and grains are placed one by one, so nothing clicks.
Where nothing of the speaker's pitch sounds, in a whisper or a hiss, the formants alone make the other voice.
Called by `models.voice_shaping`.
"""

from math import log

import numpy as np
from numpy.typing import NDArray

from models.voice_presets import LEAST_FORMANT_CHANGE, LEAST_SEMITONES

_BOUNDS = np.array([LEAST_SEMITONES * log(2.0) / 12, log(1.0 + LEAST_FORMANT_CHANGE)])
"""Half the rectangle's sides, in natural logarithms."""
_LEAST_TONELESS = log(1.07)
"""Of formant change in frames without the speaker's melody: what the default voice has."""
_SLIGHT = 1e-6

Array = NDArray[np.float64]


def keep_away(way: Array, target: Array, f0_hz: Array, usual_hz: float) -> Array:
    """The rows of `way` with no frame that is the speaker's: (n, 5) slope, offset, log formant ratio, breath, whisper.

    `f0_hz` (n,) is the speaker's pitch, 0 where unvoiced, `usual_hz` its median; `target` the row that the way leads
    to. In frames without the speaker's melody, unvoiced or of one pitch whatever is said, the formants keep away.
    """
    return _toneless_kept_away(_melody_kept_away(way, target, f0_hz, usual_hz), target, f0_hz)


def _toneless_kept_away(way: Array, target: Array, f0_hz: Array) -> Array:
    """The formants of frames without melody on the target's side of the speaker's; where it has none, the pitch's."""
    toneless = (f0_hz <= 0) | (way[:, 0] == 0) | (way[:, 4] > 0.5)
    near = toneless & (np.abs(way[:, 2]) < _LEAST_TONELESS)
    if not near.any():
        return way
    side = target[2] if abs(target[2]) > _SLIGHT else target[1] * (target[0] == 1)
    moved = way.copy()
    moved[near, 2] = -_LEAST_TONELESS if side < 0 else _LEAST_TONELESS
    return moved


def _melody_kept_away(way: Array, target: Array, f0_hz: Array, usual_hz: float) -> Array:
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

"""Brings a speaker to the usual pitch of an imported voice: by the median of what was heard, slowly, frame by frame.

A voice sounds like itself where it was trained. How far the speaker is from there is heard within a second or two of
voiced sound, and followed only where it is out by more than a semitone, so that a melody stays a melody. Decided by
absolute frames of 10 ms, so that the hop does not matter. Called by `models.rvc_voice_engine`.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

KEPT_FRAMES = 500
LEAST_FRAMES = 100
"""Voiced frames before anything is said of a speaker's pitch."""
EVERY_FRAMES = 50
LEAST_SEMITONES = 1.0
MOST_SEMITONES = 24.0
GLIDE_SEMITONES = 0.1
"""From one frame to the next at most."""

Array = NDArray[np.float64]


class AutoPitch:
    """One speaker on the way to one voice, which usually speaks at `target_hz`."""

    def __init__(self, target_hz: float) -> None:
        self._target_hz = target_hz
        self._voiced: deque[float] = deque(maxlen=KEPT_FRAMES)
        self._frames = 0
        self._wanted = 0.0
        self._semitones = 0.0

    def follow(self, pitch_hz: Array) -> Array:
        """The speaker's pitch [n] in Hz, 0 where unvoiced, of the next frames; gives what to multiply each by, [n]."""
        return np.array([self._next(hz) for hz in pitch_hz.tolist()])

    def _next(self, hz: float) -> float:
        if hz > 0:
            self._voiced.append(hz)
        self._frames += 1
        if self._frames % EVERY_FRAMES == 0 and len(self._voiced) >= LEAST_FRAMES:
            self._aim(float(np.median(self._voiced)))
        away = self._wanted - self._semitones
        self._semitones += min(GLIDE_SEMITONES, max(-GLIDE_SEMITONES, away))
        return float(2 ** (self._semitones / 12))

    def _aim(self, median_hz: float) -> None:
        found = 12 * float(np.log2(self._target_hz / median_hz))
        found = min(MOST_SEMITONES, max(-MOST_SEMITONES, found))
        if abs(found - self._wanted) >= LEAST_SEMITONES:
            self._wanted = found

"""How an imported voice hears: what is said and at which pitch, every 20 ms, the same at every hop of the ladder.

What a network makes of a moment depends on where in its window that lies. So each 20 ms have a window of their own that
ends with them, whatever the hop: a hop is one run over as many windows. Of each window one frame of 20 ms is kept that
is not the last, since the last has heard nothing of what follows; the last is given too, as what follows seemed then.
Called by `models.rvc_voice_engine`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from models import rmvpe_decode
from models.rmvpe_front import MovingPicture
from models.runtime import Graph
from models.voice_networks import CONTENT_SAMPLES, CONTENT_V2, PITCH, PITCH_FRAMES

STEP_SAMPLES = 320
"""20 ms at 16 kHz."""
LATE_MS = 45
"""How long before the end of a window the frame begins that is kept: it takes 25 ms, and 20 ms follow."""

_CONTENT_KEPT, _CONTENT_AHEAD = -2, -1
# The picture ends 5 ms before the sound: this frame is centred where the kept frame of content begins, as in training.
_PITCH_KEPT, _PITCH_AHEAD = slice(-5, -3), slice(-3, -1)

Array = NDArray[np.float32]
Pitch = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Of n steps of 20 ms: one row of content each, [n, width], and two pitches in Hz, [2 n], 0 where unvoiced."""

    content: Array
    pitch_hz: Pitch
    content_ahead: Array
    """Of the 20 ms that follow each step, as they seemed at its end."""
    pitch_ahead_hz: Pitch


class Listener:
    """One stream's ears."""

    def __init__(self, content: Graph, pitch: Graph) -> None:
        self._content, self._pitch = content, pitch
        self._wave = np.zeros(CONTENT_SAMPLES - STEP_SAMPLES, np.float32)
        self._picture = MovingPicture(PITCH_FRAMES)

    def hear(self, wave: Array) -> Heard:
        """Take the next steps of sound at 16 kHz, [320 n]."""
        sound = np.concatenate([self._wave, wave])
        self._wave = sound[len(wave) :]
        [content] = self._content.run(
            {CONTENT_V2.given: sliding_window_view(sound, CONTENT_SAMPLES)[::STEP_SAMPLES].copy()}
        )
        [salience] = self._pitch.run({PITCH.given: self._picture.push(wave)})
        return Heard(
            content=content[:, _CONTENT_KEPT],
            pitch_hz=_pitch_hz(salience[:, _PITCH_KEPT]),
            content_ahead=content[:, _CONTENT_AHEAD],
            pitch_ahead_hz=_pitch_hz(salience[:, _PITCH_AHEAD]),
        )


def _pitch_hz(salience: Array) -> Pitch:
    """Of [n, 2, 360], frame after frame."""
    return rmvpe_decode.pitch_hz(salience.reshape(-1, rmvpe_decode.BINS))

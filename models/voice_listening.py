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

from models.runtime import Graph
from models.stage_watch import StageWatch
from models.voice_networks import CONTENT_SAMPLES, CONTENT_V2
from models.voice_pitch import STEP_SAMPLES, PitchTracker

LATE_MS = 45
"""How long before the end of a window the frame begins that is kept: it takes 25 ms, and 20 ms follow.

The first pitch of a step is centred where its frame of content begins, as in training: `voice_pitch.KEPT_MS`.
"""

_CONTENT_KEPT, _CONTENT_AHEAD = -2, -1

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

    def __init__(self, content: Graph, pitch: PitchTracker) -> None:
        self._content, self._pitch = content, pitch.open()
        self._wave = np.zeros(CONTENT_SAMPLES - STEP_SAMPLES, np.float32)

    def hear(self, wave: Array, watch: StageWatch | None = None) -> Heard:
        """Take the next steps of sound at 16 kHz, [320 n]; `watch` is told of the stages encode and f0."""
        watch = watch or StageWatch()
        sound = np.concatenate([self._wave, wave])
        self._wave = sound[len(wave) :]
        [content] = self._content.run(
            {CONTENT_V2.given: sliding_window_view(sound, CONTENT_SAMPLES)[::STEP_SAMPLES].copy()}
        )
        watch.mark("encode")
        pitch_hz, pitch_ahead_hz = self._pitch.hear(wave)
        heard = Heard(
            content=content[:, _CONTENT_KEPT],
            pitch_hz=pitch_hz,
            content_ahead=content[:, _CONTENT_AHEAD],
            pitch_ahead_hz=pitch_ahead_hz,
        )
        watch.mark("f0")
        return heard

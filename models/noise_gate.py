"""The noise gate of a call: decided on what the microphone sends, applied to the converted sound of the same moment.

Converted sound comes later than what it says, by the engine's constant delay. So the gate has heard the next 40 ms when
it has to open for a sound, and cuts nothing off the front of an "s", without holding anything back itself. The engine
hears the microphone ungated and its answer to mere noise is what is silenced. Called by `models.voice_front`.
"""

import numpy as np
from numpy.typing import NDArray

from models.engines import Samples

FRAME_MS = 10
GRACE_FRAMES = 4
"""So long before the sound that opens it it begins to, if the engine's delay leaves as much; opening takes 10 ms."""
HYSTERESIS_DB = 6.0
HOLD_FRAMES = 15
"""It stays open so long after the last sound that was loud enough."""
CLOSING_FRAMES = 5

_KEPT_FRAMES = 256
_SILENCE_DB = -200.0


class NoiseGate:
    """One call's gate, at `rate_hz`; hops may be any multiple of 10 ms."""

    def __init__(self, rate_hz: int) -> None:
        self._frame = rate_hz * FRAME_MS // 1000
        self._threshold_db: float | None = None
        self._wanted = np.ones(_KEPT_FRAMES, bool)
        self._gains = np.ones(_KEPT_FRAMES + 1)
        self._heard = 0
        """Frames that were listened to, since the call began."""
        self._decided = 0
        """Frames whose gain is fixed; `_gains` ends with the last one's."""
        self._hold = HOLD_FRAMES
        self._next = 1.0
        """The gain of the next sample."""

    @property
    def shut(self) -> bool:
        """Whether nothing leaves right now."""
        return self._next == 0.0

    def set(self, threshold_db: float | None) -> None:
        """Shut below this level, in dB of full scale over 10 ms; None opens it for good. From the next hop on."""
        self._threshold_db = threshold_db

    def listen(self, hop: Samples) -> None:
        """Decide for each frame of what the engine is given whether it is loud enough."""
        frames = hop.reshape(-1, self._frame).astype(np.float64)
        power = frames.var(axis=1)  # without an offset, which is loud and says nothing
        level_db = 10 * np.log10(power + 10 ** (_SILENCE_DB / 10))
        self._wanted = np.concatenate([self._wanted, [self._is_open(level) for level in level_db]])[-_KEPT_FRAMES:]
        self._heard += len(frames)

    def apply(self, converted: Samples, delay_ms: float) -> Samples:
        """Converted sound of the hop that was listened to last, which says what was heard `delay_ms` before."""
        delay = round(delay_ms * self._frame / FRAME_MS)
        end = self._heard * self._frame - delay
        self._decide(-(-end // self._frame), min(GRACE_FRAMES, delay // self._frame))
        if self._next == 1.0 and (self._gains == 1.0).all():
            return converted
        return np.asarray(converted * self._curve(end - len(converted), end), np.float32)

    def _is_open(self, level_db: float) -> bool:
        """Whether a frame is to be heard, by its level and by those before it."""
        margin_db = HYSTERESIS_DB if self._hold else 0.0
        if self._threshold_db is None or level_db >= self._threshold_db - margin_db:
            self._hold = HOLD_FRAMES
            return True
        self._hold = max(0, self._hold - 1)
        return self._hold > 0

    def _decide(self, frames: int, grace: int) -> None:
        """Fix the gains up to that frame: at once up, slowly down."""
        made = []
        gain = float(self._gains[-1])
        for frame in range(self._decided, min(frames, self._heard)):
            last = self._heard - frame
            ahead = self._wanted[len(self._wanted) - last : len(self._wanted) - last + grace + 1]
            gain = 1.0 if ahead.any() else max(0.0, gain - 1 / CLOSING_FRAMES)
            made.append(gain)
        self._decided += len(made)
        self._gains = np.concatenate([self._gains, made])[-_KEPT_FRAMES - 1 :]

    def _curve(self, begin: int, end: int) -> NDArray[np.float64]:
        """The gain of each sample [begin, end), straight from frame to frame."""
        first = self._decided - len(self._gains)  # `_gains[i]` is reached at the end of frame first + i
        ends = (np.arange(len(self._gains)) + first + 1) * self._frame
        curve = np.interp(np.arange(begin, end + 1), ends, self._gains)
        if curve[0] != self._next:  # the delay grew: what follows is of an earlier moment
            step = min(self._frame, len(curve))
            curve[:step] += (self._next - curve[0]) * np.linspace(1, 0, step)
        self._next = float(curve[-1])
        return np.asarray(np.clip(curve[:-1], 0.0, 1.0))

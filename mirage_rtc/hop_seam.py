"""The joints between hops of which one is silent: no click where a voice stops or begins. Used by `audio_path`.

Changes of voice are faded in the lane (`models.voice_change`), changes of what may pass by `playout.Seam`.
"""

from dataclasses import replace

import numpy as np

from mirage_rtc.gate import SafeSound

FADE_S = 0.005


class HopSeam:
    """One call's hops, in order."""

    def __init__(self, rate_hz: int) -> None:
        self._falling = np.linspace(1.0, 0.0, round(FADE_S * rate_hz), endpoint=False, dtype=np.float32)
        self._last: SafeSound | None = None

    def join(self, sound: SafeSound, *, afresh: bool = False) -> SafeSound:
        """The same hop; after one of another kind, or where a voice begins `afresh`, the last level falls to zero.

        Nothing of another generation is carried over, and nothing raw.
        """
        last, self._last = self._last, sound
        if last is None or last.generation != sound.generation or "passthrough" in (last.kind, sound.kind):
            return sound
        if last.kind == sound.kind and not (afresh and sound.kind == "live"):
            return sound
        samples = sound.samples.copy()
        falling = self._falling[: len(samples)]
        if sound.kind == "live":
            samples[: len(falling)] *= 1.0 - falling
        samples[: len(falling)] += last.samples[-1] * falling
        self._last = joined = replace(sound, samples=samples)
        return joined

"""The two ends that every embedded voice engine has: a hop comes in clean at 24 kHz and goes out within full scale.

Called by `models.world_voice_engine` and `models.psola_voice_engine`. The state carried across hops is the resamplers'
and the DC offset's.
"""

import numpy as np

from models.engines import Samples
from models.resample import Resampler, Signal
from models.voice_frames import RATE_HZ

_RATES_HZ = (16_000, 48_000)
_HOPS_MS = range(20, 201, 20)
_OFFSET_BLOCK, _OFFSET_PACE = RATE_HZ // 50, 0.2
_KNEE, _CEILING = 0.8, 0.98


class VoiceEnds:
    """One call's way to the engine's inner rate and back."""

    def __init__(self, *, sample_rate_hz: int, hop_ms: int) -> None:
        """16 or 48 kHz, a hop of 20 to 200 ms in steps of 20 ms; ValueError otherwise."""
        if sample_rate_hz not in _RATES_HZ:
            raise ValueError("The voice engine runs at 16000 or 48000 Hz.")
        if hop_ms not in _HOPS_MS:
            raise ValueError("The hop must be 20 to 200 ms in steps of 20 ms.")
        self._hop_samples = sample_rate_hz * hop_ms // 1000
        self._down = Resampler(sample_rate_hz, RATE_HZ)
        self._up = Resampler(RATE_HZ, sample_rate_hz)
        self._offset = 0.0
        self.delay_s = self._down.delay_s + self._up.delay_s

    def enter(self, hop: Samples) -> Signal:
        """One hop at 24 kHz. Samples out of [-1, 1] are clipped, those that are no numbers are silence."""
        if hop.shape != (self._hop_samples,):
            raise ValueError(f"A hop of this stream is {self._hop_samples} samples.")
        clean = np.clip(np.nan_to_num(hop.astype(np.float64), posinf=0.0, neginf=0.0), -1.0, 1.0)
        return self._without_offset(self._down.convert(clean))

    def leave(self, signal: Signal) -> Samples:
        """The hop at the stream's rate, limited."""
        return limit(self._up.convert(signal))

    def _without_offset(self, signal: Signal) -> Signal:
        """Subtract a slowly followed DC offset, in blocks of 20 ms so that the hop does not matter."""
        blocks = signal.reshape(-1, _OFFSET_BLOCK)
        for block in blocks:
            before = self._offset
            self._offset += _OFFSET_PACE * (float(block.mean()) - before)
            block -= np.linspace(before, self._offset, _OFFSET_BLOCK)
        return blocks.reshape(-1)


def limit(signal: Signal) -> Samples:
    """Bend what exceeds the knee towards the ceiling: no hard corner, never over full scale."""
    over = np.maximum(np.abs(signal) - _KNEE, 0.0)
    room = _CEILING - _KNEE
    bent = np.sign(signal) * (_KNEE + room * np.tanh(over / room))
    return np.where(over > 0, bent, signal).astype(np.float32)

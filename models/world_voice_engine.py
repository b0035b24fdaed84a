"""The embedded voice engine: streaming WORLD on the CPU, no weights. One `VoiceEngine` as in `models.engines`.

A hop goes down to 24 kHz, is analysed (`world_analysis`), becomes another voice (`voice_shaping`), is synthesised
(`world_synthesis`) and goes up again. Everything carries its state over, so the hops join by themselves and the delay
never changes. Called by the voice lane.
"""

import numpy as np

from models import voice_match
from models.engines import Samples, VoiceProfile, VoiceSettings, VoiceStream
from models.resample import Resampler, Signal
from models.voice_shaping import VoiceShaper
from models.world_analysis import LOOK_AHEAD_MS, RATE_HZ, WorldAnalyser
from models.world_synthesis import DELAY_S, WorldSynthesiser

_RATES_HZ = (16_000, 48_000)
_HOPS_MS = range(20, 201, 20)
_OFFSET_BLOCK, _OFFSET_PACE = RATE_HZ // 50, 0.2
_KNEE, _CEILING = 0.8, 0.98


class WorldVoiceStream:
    """One call's voice."""

    def __init__(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings, seed: int) -> None:
        self._hop_samples = sample_rate_hz * hop_ms // 1000
        self._down = Resampler(sample_rate_hz, RATE_HZ)
        self._up = Resampler(RATE_HZ, sample_rate_hz)
        self._analyser = WorldAnalyser(hop_ms)
        self._shaper = VoiceShaper(settings)
        self._offset = 0.0
        self._synthesiser = WorldSynthesiser(seed=seed)
        self.delay_ms = LOOK_AHEAD_MS + 1000 * (DELAY_S + self._down.delay_s + self._up.delay_s)

    def set_voice(self, settings: VoiceSettings) -> None:
        """Glide to `settings` from the next hop on; ValueError as in `voice_presets.check`, the old voice stays."""
        self._shaper.set_voice(settings)

    def convert(self, hop: Samples) -> Samples:
        """Convert exactly one hop. Samples out of [-1, 1] are clipped, those that are no numbers are silence."""
        if hop.shape != (self._hop_samples,):
            raise ValueError(f"A hop of this stream is {self._hop_samples} samples.")
        clean = np.clip(np.nan_to_num(hop.astype(np.float64), posinf=0.0, neginf=0.0), -1.0, 1.0)
        inner = self._without_offset(self._down.convert(clean))
        frames = self._shaper.apply(self._analyser.push(inner))
        return _limit(self._up.convert(self._synthesiser.synthesise(frames)))

    def _without_offset(self, signal: Signal) -> Signal:
        """Subtract a slowly followed DC offset, in blocks of 20 ms so that the hop does not matter."""
        blocks = signal.reshape(-1, _OFFSET_BLOCK)
        for block in blocks:
            before = self._offset
            self._offset += _OFFSET_PACE * (float(block.mean()) - before)
            block -= np.linspace(before, self._offset, _OFFSET_BLOCK)
        return blocks.reshape(-1)


class WorldVoiceEngine:
    """Opens streams and measures reference clips; holds no state of its own."""

    name = "world"

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> VoiceStream:
        """State for one call: 16 or 48 kHz, a hop of 20 to 200 ms in steps of 20 ms; ValueError otherwise."""
        if sample_rate_hz not in _RATES_HZ:
            raise ValueError("The voice engine runs at 16000 or 48000 Hz.")
        if hop_ms not in _HOPS_MS:
            raise ValueError("The hop must be 20 to 200 ms in steps of 20 ms.")
        return WorldVoiceStream(sample_rate_hz=sample_rate_hz, hop_ms=hop_ms, settings=settings, seed=1)

    def measure(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """Measure a reference clip, see `voice_match.measure`."""
        return voice_match.measure(clip, sample_rate_hz)


def _limit(signal: Signal) -> Samples:
    """Bend what exceeds the knee towards the ceiling: no hard corner, never over full scale."""
    over = np.maximum(np.abs(signal) - _KNEE, 0.0)
    room = _CEILING - _KNEE
    bent = np.sign(signal) * (_KNEE + room * np.tanh(over / room))
    return np.where(over > 0, bent, signal).astype(np.float32)

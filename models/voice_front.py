"""What is done to a microphone before any voice engine, and to its silence after it: gain, denoiser, noise gate.

The same for embedded and imported voices and for both at a change between them; nothing here delays anything, and hops
of any length give the same sound. Called by `mirage_rtc.voice_pipeline`, once a call, around the engine.
"""

from math import isfinite

import numpy as np

from models.denoiser import Denoiser
from models.engines import Samples, VoiceSettings
from models.noise_gate import FRAME_MS, NoiseGate
from models.voice_ends import limit

GAIN_DB = (-20.0, 20.0)
GATE_DB = (-90.0, -20.0)


class VoiceFront:
    """One call's front, at 16 or 48 kHz. `enter` a hop, convert it, let it `leave`."""

    def __init__(self, *, sample_rate_hz: int, settings: VoiceSettings) -> None:
        self._frame = sample_rate_hz * FRAME_MS // 1000
        self._denoiser = Denoiser(sample_rate_hz)
        self._gate = NoiseGate(sample_rate_hz)
        self._settings = settings
        self._gain = _factor(settings)
        self.set_voice(settings)

    def set_voice(self, settings: VoiceSettings) -> None:
        """Other controls from the next hop on; they are brought in over 10 ms. `check` them first."""
        self._settings = settings
        self._gate.set(settings.gate_db)

    def enter(self, hop: Samples) -> Samples:
        """What the engine is to convert; ValueError for a hop that is not a whole number of 10 ms."""
        if len(hop) % self._frame:
            raise ValueError("A hop is a whole number of 10 ms.")
        made = self._denoised(self._amplified(hop))
        self._gate.listen(np.nan_to_num(made, posinf=0.0, neginf=0.0))
        return made

    def leave(self, converted: Samples, delay_ms: float) -> Samples:
        """What is to be sent of the hop's conversion, whose content is `delay_ms` older than the hop."""
        return self._gate.apply(converted, delay_ms)

    def _amplified(self, hop: Samples) -> Samples:
        wanted = _factor(self._settings)
        if wanted == self._gain == 1.0:
            return hop
        curve = np.full(len(hop), wanted)
        curve[: self._frame] = self._gain + (wanted - self._gain) * (np.arange(self._frame) + 1) / self._frame
        self._gain = wanted
        clean = np.nan_to_num(hop.astype(np.float64), posinf=0.0, neginf=0.0)
        return limit(np.clip(clean, -1.0, 1.0) * curve)

    def _denoised(self, hop: Samples) -> Samples:
        denoiser = self._denoiser
        if denoiser.idle and not self._settings.denoise:
            return hop
        act = denoiser.clean if self._settings.denoise else denoiser.rest
        clean = np.clip(np.nan_to_num(hop.astype(np.float64), posinf=0.0, neginf=0.0), -1.0, 1.0)
        blocks = clean.reshape(-1, denoiser.step)
        return np.concatenate([act(block) for block in blocks]).astype(np.float32)


def check(settings: VoiceSettings) -> None:
    """Refuse controls out of their range: ValueError with a sentence for the user."""
    low, high = GAIN_DB
    if not isfinite(settings.input_gain_db) or not low <= settings.input_gain_db <= high:
        raise ValueError(f"The microphone's gain must lie between {low:.0f} and {high:.0f} dB.")
    low, high = GATE_DB
    if settings.gate_db is not None and not low <= settings.gate_db <= high:
        raise ValueError(f"The gate must lie between {low:.0f} and {high:.0f} dB, or be off.")


def _factor(settings: VoiceSettings) -> float:
    return float(10 ** (settings.input_gain_db / 20))

"""The voice engine for machines without pyworld: streaming TD-PSOLA in numpy. One `VoiceEngine` as in `models.engines`.

The same ends (`voice_ends`), presets and shaping (`voice_shaping`) as the WORLD engine around another analysis
(`psola_analysis`) and synthesis (`psola_synthesis`). Called by the voice lane, through `models.voice_engine_choice`.
"""

from models import voice_match
from models.engines import Samples, VoiceProfile, VoiceSettings, VoiceStream
from models.psola_analysis import LOOK_AHEAD_MS, PsolaAnalyser, analyse_clip
from models.psola_synthesis import DELAY_S, PsolaSynthesiser
from models.voice_ends import VoiceEnds
from models.voice_shaping import VoiceShaper


class PsolaVoiceStream:
    """One call's voice."""

    def __init__(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings, seed: int) -> None:
        self._ends = VoiceEnds(sample_rate_hz=sample_rate_hz, hop_ms=hop_ms)
        self._analyser = PsolaAnalyser(hop_ms)
        self._shaper = VoiceShaper(settings)
        self._synthesiser = PsolaSynthesiser(seed=seed)
        self.delay_ms = LOOK_AHEAD_MS + 1000 * (DELAY_S + self._ends.delay_s)

    def set_voice(self, settings: VoiceSettings) -> None:
        """Glide to `settings` from the next hop on; ValueError as in `voice_presets.check`, the old voice stays."""
        self._shaper.set_voice(settings)

    def convert(self, hop: Samples) -> Samples:
        """Convert exactly one hop, see `VoiceEnds.enter`."""
        frames = self._analyser.push(self._ends.enter(hop))
        shaped = self._shaper.shape(frames)
        signal, origin = self._analyser.signal, self._analyser.origin
        return self._ends.leave(self._synthesiser.synthesise(signal, origin, frames, shaped))


class PsolaVoiceEngine:
    """Opens streams and measures reference clips; holds no state of its own."""

    name = "psola"

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> VoiceStream:
        """State for one call; ValueError for a rate or hop that `VoiceEnds` cannot do."""
        return PsolaVoiceStream(sample_rate_hz=sample_rate_hz, hop_ms=hop_ms, settings=settings, seed=1)

    def measure(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """Measure a reference clip, see `voice_match.measure`."""
        return voice_match.measure(clip, sample_rate_hz, analyse_clip)

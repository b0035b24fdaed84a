"""The embedded voice engine: streaming WORLD on the CPU, no weights. One `VoiceEngine` as in `models.engines`.

A hop goes down to 24 kHz (`voice_ends`), is analysed (`world_analysis`), becomes another voice (`voice_shaping`), is
synthesised (`world_synthesis`) and goes up again. Everything carries its state over, so the hops join by themselves and
the delay never changes. Called by the voice lane, through `models.voice_engine_choice`.
"""

from models import voice_match
from models.engines import Samples, VoiceProfile, VoiceSettings, VoiceStream
from models.voice_ends import VoiceEnds
from models.voice_shaping import VoiceShaper
from models.world_analysis import LOOK_AHEAD_MS, WorldAnalyser, analyse_clip
from models.world_synthesis import DELAY_S, WorldSynthesiser


class WorldVoiceStream:
    """One call's voice."""

    def __init__(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings, seed: int) -> None:
        self._ends = VoiceEnds(sample_rate_hz=sample_rate_hz, hop_ms=hop_ms)
        self._analyser = WorldAnalyser(hop_ms)
        self._shaper = VoiceShaper(settings)
        self._synthesiser = WorldSynthesiser(seed=seed)
        self.delay_ms = LOOK_AHEAD_MS + 1000 * (DELAY_S + self._ends.delay_s)

    def set_voice(self, settings: VoiceSettings) -> None:
        """Glide to `settings` from the next hop on; ValueError as in `voice_presets.check`, the old voice stays."""
        self._shaper.set_voice(settings)

    def convert(self, hop: Samples) -> Samples:
        """Convert exactly one hop, see `VoiceEnds.enter`."""
        frames = self._shaper.apply(self._analyser.push(self._ends.enter(hop)))
        return self._ends.leave(self._synthesiser.synthesise(frames))


class WorldVoiceEngine:
    """Opens streams and measures reference clips; holds no state of its own."""

    name = "world"

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> VoiceStream:
        """State for one call; ValueError for a rate or hop that `VoiceEnds` cannot do."""
        return WorldVoiceStream(sample_rate_hz=sample_rate_hz, hop_ms=hop_ms, settings=settings, seed=1)

    def measure(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """Measure a reference clip, see `voice_match.measure`."""
        return voice_match.measure(clip, sample_rate_hz, analyse_clip)

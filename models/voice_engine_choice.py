"""Which embedded voice engine a lane runs: WORLD, or TD-PSOLA on a machine without pyworld. Named by the voice lane."""

from importlib import import_module

from models.engines import VoiceEngine
from models.psola_voice_engine import PsolaVoiceEngine


def open_voice_engine() -> VoiceEngine:
    """A new engine, the better one that this machine can run."""
    try:
        module = import_module("models.world_voice_engine")
    except (ImportError, OSError):  # no wheel, or a native library that does not load
        return PsolaVoiceEngine()
    engine: VoiceEngine = module.WorldVoiceEngine()
    return engine

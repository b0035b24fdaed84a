"""Which voice engines a lane holds: an embedded one always, imported voices where they are wanted and can run.

The embedded one is WORLD, or TD-PSOLA on a machine without pyworld. Named by the voice lane, whose worker calls it at
start and again after a loss; `why` of what it gives says what became of imported voices.
"""

from importlib import import_module
from pathlib import Path
from typing import Literal

from models.engines import VoiceEngine
from models.imported_voices import ImportedVoices
from models.psola_voice_engine import PsolaVoiceEngine
from models.voice_rack import ImportedEngine, VoiceRack

Choice = Literal["auto", "embedded", "neural"]
"""`auto` offers imported voices on a GPU only: on a CPU a hop takes longer than it lasts, but for small voices on large
machines; `neural` offers them there too, since somebody said so."""


def open_voice_engine(choice: Choice = "embedded", data_dir: str = "") -> VoiceRack:
    """The engines, the embedded one warm. What keeps imported voices away is told in `why`."""
    embedded = _embedded()
    if choice == "embedded":
        return VoiceRack(embedded, why="imported voices are not offered: the configuration asks for the embedded ones")
    voices = ImportedVoices(Path(data_dir))
    obstacle = _obstacle(voices)
    if obstacle:
        return VoiceRack(embedded, why=f"imported voices are not offered: {obstacle}")
    return _with_imported(choice, embedded, voices)


def _embedded() -> VoiceEngine:
    try:
        module = import_module("models.world_voice_engine")
    except (ImportError, OSError):  # no wheel, or a native library that does not load
        return PsolaVoiceEngine()
    engine: VoiceEngine = module.WorldVoiceEngine()
    return engine


def _obstacle(voices: ImportedVoices) -> str:
    """What is missing on the disk, cheap questions first; the runtime is not loaded for nothing."""
    if not voices.store.voices():
        return "there is none; `mirage-rtc voices import` makes one, and the next start offers it"
    if not voices.offered():
        return "no record of one can be read, or its networks are not prepared; `mirage-rtc voices list` says which"
    return ""


def _with_imported(choice: Choice, embedded: VoiceEngine, voices: ImportedVoices) -> VoiceRack:
    # Only here: ONNX Runtime is an extra, and takes memory that a lane without such voices can do without.
    from models import runtime
    from models.rvc_voice_engine import RvcVoiceEngine
    from models.voice_pitch import pitch_in_words

    no_gpu = runtime.obstacle("cuda")
    idle = f" {no_gpu}" if no_gpu and runtime.available("cuda") else ""
    if no_gpu and choice == "auto":
        sentence = (
            "this ONNX Runtime has no GPU, and on a CPU a hop takes longer than it lasts; MIRAGE_VOICE_ENGINE=neural "
            f"offers them all the same.{idle}"
        )
        return VoiceRack(embedded, why=f"imported voices are not offered: {sentence}")
    if not runtime.available("cpu"):
        sentence = "ONNX Runtime is not installed here; `pip install '.[neural]'` in the clone does it"
        return VoiceRack(embedded, why=f"imported voices are not offered: {sentence}")
    placement = runtime.Placement(threads=2) if no_gpu else runtime.Placement(provider="cuda", threads=1)
    engine: ImportedEngine = RvcVoiceEngine(voices.store, voices.networks, placement=placement)
    why = f"imported voices on {placement.provider}; {pitch_in_words(voices.networks)}{idle}"
    return VoiceRack(embedded, engine, edition=voices.edition, why=why)

"""Both voice engines of a lane behind one `VoiceEngine`: the embedded one at once, imported voices once loaded.

Loading a voice takes seconds, and hops of all calls of the lane come every 40 ms: it happens in threads of its own,
for the life of the worker (ONNX Runtime keeps state for every thread that it has met). What runs a new voice first is
below the hops; what opens its networks is not, since their threads keep the priority of whoever opened them. Called by
`mirage_rtc.voice_pipeline` through `models.voice_change`.
"""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np

from models.engines import Samples, VoiceEngine, VoiceProfile, VoiceSettings, VoiceStream
from models.imported_voices import PREFIX, is_imported, plain
from models.voice_refusal import VoiceRefused

_TRIAL_HZ, _TRIAL_MS = 16_000, 200
HOPELESS = 0.8
"""Of the longest hop: what takes more of it fails at every other, too (`mirage_rtc.hop_ladder`)."""
LOADING_NICE = 10
"""Whoever waits for a voice to load hears another one meanwhile; a hop that waits is heard."""


class ImportedEngine(Protocol):
    """A voice engine that loads its voices. Loading and opening may raise what has a `sentence`, and a `code`."""

    name: str

    def load(self, voice_id: str) -> None:
        """Load a voice afresh. In a thread of its own."""

    def is_loaded(self, voice_id: str) -> bool:
        """Whether it still is: an engine may drop a voice that no stream uses."""

    def prewarm(self, voice_id: str) -> None:
        """Run a loaded voice once. In another thread of its own."""

    def forget(self, voice_id: str) -> None:
        """It is another now, or none: load it afresh when it is asked for."""

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> VoiceStream:
        """State for one call, of a voice that is loaded."""


class VoiceRack:
    """The engines of one lane."""

    def __init__(
        self,
        embedded: VoiceEngine,
        imported: ImportedEngine | None = None,
        *,
        edition: Callable[[str], str] = lambda _: "",
        why: str = "",
    ) -> None:
        """`edition` says which of the voices that bore this id is stored now, and raises when none is."""
        self.name = embedded.name
        self.why = why
        self.extras = () if imported is None else (imported.name,)
        self._embedded = embedded
        self._imported = imported
        self._edition = edition
        self._loads: dict[str, tuple[str, Future[None]]] = {}
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="voice-load")
        self._taster = ThreadPoolExecutor(1, thread_name_prefix="voice-trial", initializer=_step_back)

    def engine_of(self, settings: VoiceSettings) -> str:
        """The name of the engine that speaks these settings."""
        return self.extras[0] if self.extras and is_imported(settings) else self.name

    def is_ready(self, settings: VoiceSettings) -> bool:
        """Whether a stream can be opened at once; else it is being loaded from here on. Raises what loading raised."""
        if not is_imported(settings):
            return True
        if self._imported is None:
            raise ValueError("This lane has no imported voices.")
        voice_id = settings.preset.removeprefix(PREFIX)
        edition = self._edition(voice_id)
        loaded, load = self._loads.get(voice_id, ("", None))
        if load is None or loaded != edition or (_succeeded(load) and not self._imported.is_loaded(voice_id)):
            self._imported.forget(voice_id)
            load = self._loader.submit(self._load, self._imported, voice_id)
            self._loads[voice_id] = edition, load
        if not load.done():
            return False
        if load.exception() is not None:
            del self._loads[voice_id]  # whoever asks again finds it mended, or is told again
        load.result()
        return True

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> VoiceStream:
        """State for one call, of a voice that `is_ready`."""
        engine = self._imported if is_imported(settings) else self._embedded
        if engine is None:
            raise ValueError("This lane has no imported voices.")
        return engine.open(sample_rate_hz=sample_rate_hz, hop_ms=hop_ms, settings=plain(settings))

    def measure(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """By the embedded engine: an imported voice sounds like whose it is."""
        return self._embedded.measure(clip, sample_rate_hz)

    def _load(self, engine: ImportedEngine, voice_id: str) -> None:
        """Load a voice, try it out, and keep nothing of one that is refused or was removed."""
        for other in [each for each in list(self._loads) if self._is_gone(each)]:
            engine.forget(other)
        engine.load(voice_id)
        try:
            self._taster.submit(_try_out, engine, voice_id).result()
        except Exception:  # whatever a network or a trial raises, nothing of the voice is kept; it goes on up
            engine.forget(voice_id)
            raise

    def _is_gone(self, voice_id: str) -> bool:
        try:
            self._edition(voice_id)
        except VoiceRefused:
            return True
        return False


def _succeeded(load: Future[None]) -> bool:
    return load.done() and load.exception() is None


def _try_out(engine: ImportedEngine, voice_id: str) -> None:
    """Run a voice: one that could never keep up would hold up the hops of every call of the lane.

    Judged with all that it can be asked for, retrieval too, and by this thread's CPU time alone, which is no more than
    a hop takes: a busy machine refuses nobody.
    """
    engine.prewarm(voice_id)
    settings = VoiceSettings(preset=voice_id, index_rate=1.0)
    stream = engine.open(sample_rate_hz=_TRIAL_HZ, hop_ms=_TRIAL_MS, settings=settings)
    began_s = time.thread_time()
    stream.convert(np.zeros(_TRIAL_HZ * _TRIAL_MS // 1000, np.float32))
    if (time.thread_time() - began_s) * 1000 > HOPELESS * _TRIAL_MS:
        sentence = "The imported voice is too slow for this server, so a built-in voice speaks. It needs a GPU."
        raise VoiceRefused("voice_slow", sentence)


def _step_back() -> None:
    """Yield the CPU to hops. Only Linux counts it by the thread; elsewhere it would be the whole worker."""
    if sys.platform == "linux":
        os.nice(LOADING_NICE)

"""Voice engines that only delay and scale, so that a sample says which voice made it, and of what. They run in lanes.

Built-in voices halve, or quarter as "robot"; imported ones scale by the name: "rvc:eighth", "rvc:tenth". Others are
what can go wrong: "rvc:slow", "rvc:loads" (until it has leave to go on), "rvc:raises", "rvc:kills", "rvc:refused",
"rvc:hopeless" (as much CPU as it lasts).
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.engines import Samples, VoiceProfile, VoiceSettings
from models.imported_voices import ImportedVoices
from models.voice_change import DelayLine
from models.voice_rack import VoiceRack
from models.voice_refusal import VoiceRefused

EMBEDDED_DELAY_MS = 30.0
IMPORTED_DELAY_MS = 51.5
FACTORS = {"disguise": 0.5, "robot": 0.25, "eighth": 0.125, "tenth": 0.1}
LEAVE = "TESTS_VOICE_MAY_LOAD"
"""The environment variable that names a file: while it is not there, "rvc:loads" is not loaded."""
SLOW_S = 0.06


class DelayedStream:
    """Input, `delay_ms` later, times the factor of the voice."""

    def __init__(
        self, settings: VoiceSettings, *, sample_rate_hz: int, delay_ms: float, hop_ms: int | None = None
    ) -> None:
        """With `hop_ms` it takes no other hop, as the embedded engines."""
        self.delay_ms = delay_ms
        self._only = None if hop_ms is None else sample_rate_hz * hop_ms // 1000
        self.fades = 0
        self.stage_ms = {"convert": 1.0}
        self.hops: list[int] = []
        self._line = DelayLine(round(delay_ms * sample_rate_hz / 1000))
        self.opened_with = settings
        self.set_voice(settings)

    def set_voice(self, settings: VoiceSettings) -> None:
        """Take the voice's factor, and an octave more makes it half as loud."""
        self.preset = settings.preset
        self._factor = FACTORS.get(settings.preset, 0.5) / 2 ** (abs(settings.pitch_semitones) / 12)

    def convert(self, hop: Samples) -> Samples:
        """Delay, scale, and misbehave as the voice's name says."""
        if self._only not in (None, len(hop)):
            raise ValueError("A hop of this stream has another length.")
        self.hops.append(len(hop))
        if self.preset == "slow":
            time.sleep(SLOW_S)
        if self.preset == "hopeless":
            until_s = time.thread_time() + len(hop) / 16_000
            while time.thread_time() < until_s:
                pass
        if self.preset == "raises" and hop.any():
            raise RuntimeError("unlucky")
        if self.preset == "kills" and hop.any():
            os._exit(3)
        return (self._line.delayed(hop) * self._factor).astype(np.float32)


class EmbeddedVoices:
    """Opens streams of one hop length."""

    name = "embedded"

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> DelayedStream:
        """Its streams take no other hop."""
        delay_ms = EMBEDDED_DELAY_MS
        return DelayedStream(settings, sample_rate_hz=sample_rate_hz, delay_ms=delay_ms, hop_ms=hop_ms)

    def measure(self, clip: Samples, sample_rate_hz: int) -> VoiceProfile:
        """Nothing."""
        return VoiceProfile(values={})


class Unloadable(RuntimeError):
    """As the runtime says it: with a sentence."""

    sentence = "The network cannot be loaded: free some memory."


class ScriptedImports:
    """Imported voices by name."""

    name = "rvc"

    def __init__(self, wait: Callable[[], object] = lambda: None) -> None:
        """`wait` is what every load does first."""
        self._wait = wait
        self.opened: list[DelayedStream] = []
        self.loaded: list[str] = []
        self.held: set[str] = set()
        self.trial_thread = 0

    def load(self, voice_id: str) -> None:
        """Take the time that "loads" needs; "refused" cannot be loaded."""
        self._wait()
        if voice_id == "loads":
            _await_leave()
        if voice_id == "refused":
            raise Unloadable
        self.loaded.append(voice_id)
        self.held.add(voice_id)

    def is_loaded(self, voice_id: str) -> bool:
        """Until it is forgotten."""
        return voice_id in self.held

    def prewarm(self, voice_id: str) -> None:
        """Note who does it."""
        self.trial_thread = threading.get_native_id()

    def forget(self, voice_id: str) -> None:
        """It would be loaded afresh."""
        self.held.discard(voice_id)

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> DelayedStream:
        """Any hop."""
        self.opened.append(DelayedStream(settings, sample_rate_hz=sample_rate_hz, delay_ms=IMPORTED_DELAY_MS))
        return self.opened[-1]


def rack(data_dir: str = "") -> VoiceRack:
    """Both engines; with a data directory, a voice must be in its store."""
    edition = ImportedVoices(Path(data_dir)).edition if data_dir else _known
    return VoiceRack(EmbeddedVoices(), ScriptedImports(), edition=edition, why="imported voices for tests")


def loaded_rack() -> VoiceRack:
    """Both engines, with the usual voices loaded: in virtual time a thread would never be waited for."""
    both = rack()
    for name in ("eighth", "tenth", "raises", "slow"):
        while not both.is_ready(VoiceSettings(preset=f"rvc:{name}")):
            time.sleep(0.001)
    return both


def _await_leave() -> None:
    ends_s = time.monotonic() + 60
    while not Path(os.environ[LEAVE]).exists() and time.monotonic() < ends_s:
        time.sleep(0.005)


def _known(voice_id: str) -> str:
    if voice_id == "gone":
        raise VoiceRefused("voice_unknown", "There is no such voice.")
    return "1"

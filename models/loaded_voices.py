"""The voices that are loaded: those that streams use, and the few that were wanted last.

A voice is hundreds of megabytes, and a server may offer more of them than fit. Called by `models.rvc_voice_engine` from
the lane's thread and the loading one.
"""

from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

Voice = TypeVar("Voice")


class LoadedVoices(Generic[Voice]):
    """By id. What neither a stream nor this holds is freed."""

    def __init__(self, kept: int) -> None:
        """`kept` is how many stay that no stream uses."""
        self._kept = kept
        self._lock = Lock()
        self._last: OrderedDict[str, Voice] = OrderedDict()
        self._alive: WeakValueDictionary[str, Voice] = WeakValueDictionary()

    def add(self, voice_id: str, voice: Voice) -> None:
        """As the one wanted last, instead of what bore the id; a stream that uses that keeps it."""
        with self._lock:
            self._alive[voice_id] = voice
            self._keep(voice_id, voice)

    def get(self, voice_id: str) -> Voice | None:
        """The voice, which is wanted now; None where it is not loaded any more."""
        with self._lock:
            voice = self._alive.get(voice_id)
            if voice is not None:
                self._keep(voice_id, voice)
            return voice

    def forget(self, voice_id: str) -> None:
        """Nobody is to get it any more."""
        with self._lock:
            self._alive.pop(voice_id, None)
            self._last.pop(voice_id, None)

    def _keep(self, voice_id: str, voice: Voice) -> None:
        self._last[voice_id] = voice
        self._last.move_to_end(voice_id)
        if len(self._last) > self._kept:
            self._last.popitem(last=False)

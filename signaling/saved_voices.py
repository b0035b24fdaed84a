"""The voices that each person saved under names of their own: numbers in the data directory.

One file a subject, named by a hash of it, replaced whole. `saved_voices_api.py` reads and writes them; a clip that a
voice leans towards is in memory only and is not saved.
"""

import asyncio
import hashlib
import os
import tempfile
from pathlib import Path

import msgspec

from mirage_rtc.errors import BadInput, NotFound, TooMany, Unavailable
from signaling.http_answers import SavedVoice
from signaling.protocol import UNREADABLE, VoiceChoice

FOLDER = "voice-presets"
KEPT_PER_SUBJECT = 32
KEPT_SUBJECTS = 10_000
NAME_MAX = 60
FILE_BYTES_MAX = 64 * 1024

Shelf = dict[str, VoiceChoice]
_decoder = msgspec.json.Decoder(Shelf)


class SavedVoices:
    """All subjects' saved voices under `data_dir`. Files are touched in a thread, one request at a time."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER
        self._busy = asyncio.Lock()

    async def list(self, subject: str) -> tuple[SavedVoice, ...]:
        """By name. What is no list of voices counts as empty, and the next save replaces it. Raises Unavailable."""
        async with self._busy:
            shelf = await asyncio.to_thread(self._read, subject)
        return tuple(SavedVoice(name=name, voice=voice) for name, voice in sorted(shelf.items()))

    async def save(self, subject: str, name: str, voice: VoiceChoice) -> SavedVoice:
        """Under a new name or instead of what bore it. Raises BadInput, TooMany or Unavailable."""
        _check(name)
        saved = msgspec.structs.replace(voice, reference=None)
        async with self._busy:
            await asyncio.to_thread(self._add, subject, name, saved)
        return SavedVoice(name=name, voice=saved)

    async def remove(self, subject: str, name: str) -> None:
        """Raises NotFound `voice_preset_not_found`, or Unavailable. With the last one goes the file."""
        async with self._busy:
            await asyncio.to_thread(self._take, subject, name)

    def _add(self, subject: str, name: str, voice: VoiceChoice) -> None:
        shelf = self._read(subject)
        if name not in shelf and len(shelf) >= KEPT_PER_SUBJECT:
            sentence = f"You saved {len(shelf)} voices, which is all that is kept: remove one first."
            raise TooMany("voice_presets_full", sentence)
        self._write(subject, shelf | {name: voice})

    def _take(self, subject: str, name: str) -> None:
        shelf = self._read(subject)
        if name not in shelf:
            raise NotFound("voice_preset_not_found", "You saved no voice under that name.")
        self._write(subject, {kept: voice for kept, voice in shelf.items() if kept != name})

    def _read(self, subject: str) -> Shelf:
        try:
            data = _start_of(self._path(subject))
        except FileNotFoundError:
            return {}
        except OSError as error:  # no empty shelf: the next save would replace what is there
            sentence = (
                f"Your saved voices cannot be read ({error.strerror}). Ask who runs this server to look at its disk."
            )
            raise Unavailable("voice_presets_unreadable", sentence) from None
        try:
            return _decoder.decode(data)
        except UNREADABLE:
            return {}

    def _write(self, subject: str, shelf: Shelf) -> None:
        try:
            self._store(self._path(subject), shelf)
        except OSError as error:
            sentence = f"The voice was not saved ({error.strerror}). Ask who runs this server to look at its disk."
            raise Unavailable("voice_presets_unwritable", sentence) from None

    def _store(self, path: Path, shelf: Shelf) -> None:
        if not shelf:
            path.unlink(missing_ok=True)
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists() and sum(name.endswith(".json") for name in os.listdir(self._folder)) >= KEPT_SUBJECTS:
            raise TooMany("voice_presets_full", "This server keeps no more saved voices. Ask who runs it.")
        _replace(path, msgspec.json.encode(shelf))

    def _path(self, subject: str) -> Path:
        """A subject may hold anything, and is nobody's business who can list a folder."""
        return self._folder / f"{hashlib.sha256(subject.encode(errors='replace')).hexdigest()}.json"


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(FILE_BYTES_MAX)


def _replace(path: Path, data: bytes) -> None:
    """Whole or not at all, for the owner's eyes."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


def _check(name: str) -> None:
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable() or not name.strip():
        raise BadInput("voice_preset_name", f"A saved voice has a name of 1 to {NAME_MAX} letters, digits or signs.")

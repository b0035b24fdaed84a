"""The store with files that have an address: resumed, verified, licensed, unpacked. A real server on loopback."""

import asyncio
import dataclasses
import hashlib
import io
import random
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.model_spec import ModelSpec, Pin, UrlFile, ZipMember
from models.store import ModelMissing, Store
from tests.file_server import FileServer, serving

WEIGHTS = random.Random(3).randbytes(600_000)
OTHER = random.Random(4).randbytes(600_000)


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def pack() -> bytes:
    """A .zip of two models in a folder, as face packs are."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("pack/weights.onnx", WEIGHTS)
        archive.writestr("pack/other.onnx", OTHER)
        archive.writestr("pack/unused.onnx", b"unused")
    return data.getvalue()


PACK = pack()


def spec_of(url: str, **changes: object) -> ModelSpec:
    """A free model behind `url`."""
    spec = ModelSpec(
        name="weights.onnx",
        role="test",
        bytes=len(WEIGHTS),
        sha256=digest(WEIGHTS),
        licence="MIT",
        commercial=True,
        source="made for this test",
        origin=UrlFile(url=url),
    )
    return dataclasses.replace(spec, **changes)  # type: ignore[arg-type]


def packed(url: str, name: str, data: bytes) -> ModelSpec:
    """A model of the pack behind `url`."""
    origin = ZipMember(url=url, bytes=len(PACK), sha256=digest(PACK), member=name)
    return spec_of(url, name=name, bytes=len(data), sha256=digest(data), origin=origin, folder="pack")


async def fetch(store: Store, spec: ModelSpec) -> Path:
    """Fetch beside the loop that serves."""
    return await asyncio.to_thread(store.fetch, spec, lambda *_: None)


def visible(root: Path) -> list[str]:
    """What lies in a store besides its lock."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.name != ".lock")


async def test_a_file_is_fetched_verified_and_kept_under_its_name_alone(tmp_path: Path) -> None:
    """No partial file stays; the second fetch asks nobody."""
    async with serving(FileServer(WEIGHTS)) as server:
        store = Store(tmp_path, offline=False, catalog=(spec := spec_of(server.url),))
        path = await fetch(store, spec)
        await fetch(store, spec)
    assert path.read_bytes() == WEIGHTS
    assert path.stat().st_mode & 0o777 == 0o644
    assert visible(tmp_path) == ["weights.onnx"]
    assert len(server.asked) == 1


async def test_a_file_with_the_right_size_and_another_hash_never_gets_its_name(tmp_path: Path) -> None:
    """The sentence names address, pinned hash and command; the bytes are gone, so that the next fetch begins anew."""
    async with serving(FileServer(OTHER)) as server:
        store = Store(tmp_path, offline=False, catalog=(spec := spec_of(server.url),))
        with pytest.raises(ModelMissing) as refused:
            await fetch(store, spec)
    for word in (server.url, spec.sha256, "models fetch weights.onnx", "models import FILE"):
        assert word in refused.value.sentence
    assert visible(tmp_path) == []


async def test_a_file_that_changed_between_two_halves_is_fetched_once_more(tmp_path: Path) -> None:
    """The half of an earlier call belongs to other bytes: the hash finds out, and the second try is whole."""
    async with serving(FileServer(WEIGHTS)) as server:
        store = Store(tmp_path, offline=False, catalog=(spec := spec_of(server.url),))
        (tmp_path / f".download-{digest(server.url.encode())[:16]}").write_bytes(OTHER[:300_000])
        assert (await fetch(store, spec)).read_bytes() == WEIGHTS
    assert server.asked == ["bytes=300000-", ""]


async def test_an_interrupted_fetch_resumes_at_the_next_one(tmp_path: Path) -> None:
    """What came before the network went away is kept out of sight and not fetched again."""
    async with serving(FileServer(WEIGHTS, cuts=[400_000], statuses=[404], cut_first=True)) as server:
        store = Store(tmp_path, offline=False, catalog=(spec := spec_of(server.url),))
        with pytest.raises(ModelMissing, match="404"):
            await fetch(store, spec)
        assert store.state(spec) == "missing"
        assert (await fetch(store, spec)).read_bytes() == WEIGHTS
    assert server.asked[0] == ""
    assert len(server.asked) == 3
    assert all(wanted.startswith("bytes=") for wanted in server.asked[1:])


async def test_absent_there_says_what_else_can_be_done(tmp_path: Path) -> None:
    """404: the address, and how to bring the file in by hand."""
    async with serving(FileServer(WEIGHTS, statuses=[404])) as server:
        store = Store(tmp_path, offline=False, catalog=(spec := spec_of(server.url),))
        with pytest.raises(ModelMissing, match="404") as missing:
            await fetch(store, spec)
    assert "models import FILE" in missing.value.sentence


async def test_offline_asks_nobody(tmp_path: Path) -> None:
    """Not even for the size."""
    async with serving(FileServer(WEIGHTS)) as server:
        store = Store(tmp_path, offline=True, catalog=(spec := spec_of(server.url),))
        with pytest.raises(ModelMissing, match="offline"):
            await fetch(store, spec)
    assert server.asked == []


async def test_one_archive_serves_every_member_in_its_folder(tmp_path: Path) -> None:
    """One download; the archive does not stay, nor does what the catalogue does not know."""
    async with serving(FileServer(PACK)) as server:
        specs = packed(server.url, "weights.onnx", WEIGHTS), packed(server.url, "other.onnx", OTHER)
        store = Store(tmp_path, offline=False, catalog=specs)
        paths = [await fetch(store, spec) for spec in specs]
    assert [path.read_bytes() for path in paths] == [WEIGHTS, OTHER]
    assert visible(tmp_path) == ["pack/other.onnx", "pack/weights.onnx"]
    assert len(server.asked) == 1


async def test_an_archive_with_another_hash_is_not_opened(tmp_path: Path) -> None:
    """Even when a good member could be found in it."""
    async with serving(FileServer(PACK)) as server:
        spec = packed(server.url, "weights.onnx", WEIGHTS)
        assert isinstance(spec.origin, ZipMember)
        spec = dataclasses.replace(spec, origin=dataclasses.replace(spec.origin, sha256=digest(b"")))
        with pytest.raises(ModelMissing, match="not the pinned file"):
            await fetch(Store(tmp_path, offline=False, catalog=(spec,)), spec)
    assert visible(tmp_path) == []


async def test_a_licence_that_was_not_accepted_keeps_the_network_shut(tmp_path: Path) -> None:
    """The store itself refuses, whoever calls it; an acceptance opens it."""
    async with serving(FileServer(WEIGHTS)) as server:
        spec = spec_of(server.url, licence="Research only", commercial=False)
        store = Store(tmp_path, offline=False, catalog=(spec,))
        with pytest.raises(ModelMissing, match="Research only"):
            await fetch(store, spec)
        assert server.asked == []
        store.licences.accept("Research only", (spec.name,), datetime(2026, 1, 1, tzinfo=UTC))
        assert (await fetch(store, spec)).read_bytes() == WEIGHTS


async def test_another_address_gives_the_same_pinned_bytes_or_nothing(tmp_path: Path) -> None:
    """`MIRAGE_INSWAPPER_URL` moves the place, not the pin."""
    async with serving(FileServer(WEIGHTS)) as server:
        spec = spec_of("http://127.0.0.1:9/nobody")
        store = Store(tmp_path, offline=False, catalog=(spec,), sources={spec.name: server.url})
        assert (await fetch(store, spec)).read_bytes() == WEIGHTS


def test_either_of_two_files_of_one_name_is_ready(tmp_path: Path) -> None:
    """Both circulate; a third does not count, and the sentence shows what would."""
    spec = spec_of("https://models.example/a", also=(Pin(bytes=len(OTHER), sha256=digest(OTHER)),))
    store = Store(tmp_path, offline=True, catalog=(spec,))
    for data in (WEIGHTS, OTHER):
        (tmp_path / spec.name).write_bytes(data)
        assert store.state(spec) == "ready"
    (tmp_path / spec.name).write_bytes(WEIGHTS[:-1])
    with pytest.raises(ModelMissing) as corrupt:
        store.path(spec)
    for word in (str(tmp_path / spec.name), f"{len(WEIGHTS) - 1} bytes", digest(WEIGHTS), digest(OTHER)):
        assert word in corrupt.value.sentence


def test_a_folder_elsewhere_is_read_and_never_written(tmp_path: Path) -> None:
    """Its good file is used where it lies, even when the store's own is damaged."""
    spec = spec_of("https://models.example/a", folder="pack")
    store = Store(tmp_path / "own", offline=True, catalog=(spec,), elsewhere=(tmp_path / "theirs",))
    assert store.state(spec) == "missing"
    for root, data in ((tmp_path / "own", OTHER), (tmp_path / "theirs", WEIGHTS)):
        (root / "pack").mkdir(parents=True)
        (root / "pack" / spec.name).write_bytes(data)
    assert store.path(spec) == tmp_path / "theirs" / "pack" / spec.name


def test_an_archive_is_recognised_and_imported_and_so_is_a_plain_file(tmp_path: Path) -> None:
    """What would be taken is known before anything is: the licence is asked for in between."""
    specs = packed("https://models.example/p.zip", "weights.onnx", WEIGHTS), spec_of("https://models.example/o")
    specs = specs[0], dataclasses.replace(specs[1], name="o.onnx", bytes=len(OTHER), sha256=digest(OTHER))
    store = Store(tmp_path / "store", offline=True, catalog=specs)
    (tmp_path / "p.zip").write_bytes(PACK)
    (tmp_path / "o").write_bytes(OTHER)
    assert [store.recognised(tmp_path / name) for name in ("p.zip", "o")] == [specs[:1], specs[1:]]
    assert [store.import_file(tmp_path / name) for name in ("p.zip", "o")] == [specs[:1], specs[1:]]
    assert visible(store.root) == ["o.onnx", "pack/weights.onnx"]
    with pytest.raises(ModelMissing, match="cannot be read"):
        store.recognised(tmp_path / "absent")

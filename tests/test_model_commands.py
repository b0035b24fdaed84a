"""`mirage-rtc models`: the table, the check, and the fetch without a network."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from rich.console import Console

from mirage_rtc.errors import NotFound
from mirage_rtc.model_commands import chosen, fetch_models, list_models, verify_models
from models.catalog import CATALOG, ModelSpec, WheelMember
from models.store import ModelMissing, Store

BYTES = b"weights " * 100
SPEC = ModelSpec(
    name="face.tflite",
    role="finds faces",
    bytes=len(BYTES),
    sha256=hashlib.sha256(BYTES).hexdigest(),
    licence="Apache-2.0",
    commercial=True,
    source="made for this test",
    package=WheelMember(distribution="faces", version="1.0", member="faces/face.tflite"),
)


def store(root: Path) -> Store:
    """An offline store of the one model."""
    return Store(root, offline=True, catalog=(SPEC,))


def shelve(root: Path) -> None:
    """Put the model's wheel where an operator would."""
    with zipfile.ZipFile(root / "faces-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("faces/face.tflite", BYTES)


@pytest.fixture
def console() -> Console:
    """A console that is piped, wide enough not to wrap."""
    return Console(file=io.StringIO(), width=200)


def text(console: Console) -> str:
    """What was printed."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_list_shows_name_licence_size_and_state(tmp_path: Path, console: Console) -> None:
    """One row a model; exit code 0 even when something is missing."""
    assert list_models(store(tmp_path), (SPEC,), console) == 0
    assert all(word in text(console) for word in ("face.tflite", "Apache-2.0", "0.0 MB", "missing"))


def test_a_fetch_takes_a_wheel_put_there_by_hand_and_says_so(tmp_path: Path, console: Console) -> None:
    """Offline is no obstacle to a file that is already there; the second fetch has nothing to say."""
    shelve(tmp_path)
    assert fetch_models(store(tmp_path), (SPEC,), console) == 0
    assert "Fetching 1 model files" in text(console)
    assert store(tmp_path).state(SPEC) == "ready"
    before = text(console)
    assert fetch_models(store(tmp_path), (SPEC,), console) == 0
    assert text(console) == before


def test_offline_and_absent_is_a_sentence_with_the_command(tmp_path: Path, console: Console) -> None:
    """What to run elsewhere and where to put the file."""
    with pytest.raises(ModelMissing) as caught:
        fetch_models(store(tmp_path), (SPEC,), console)
    assert "pip download" in caught.value.sentence
    assert str(tmp_path) in caught.value.sentence


def test_verify_ends_with_1_until_every_file_is_the_pinned_one(tmp_path: Path, console: Console) -> None:
    """Missing, then right, then one flipped byte."""
    assert verify_models(store(tmp_path), (SPEC,), console) == 1
    (tmp_path / SPEC.name).write_bytes(BYTES)
    assert verify_models(store(tmp_path), (SPEC,), console) == 0
    (tmp_path / SPEC.name).write_bytes(b"X" + BYTES[1:])
    assert verify_models(store(tmp_path), (SPEC,), console) == 1
    assert "corrupt" in text(console)


def test_names_choose_models_and_an_unknown_name_is_refused() -> None:
    """No name means all of the catalogue."""
    assert chosen(()) == CATALOG
    assert chosen((CATALOG[1].name,)) == (CATALOG[1],)
    with pytest.raises(NotFound, match=CATALOG[0].name):
        chosen(("dream.onnx",))

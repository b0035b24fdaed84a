"""CodeFormer's checkpoint becomes a graph when it is fetched or imported; the conversion itself is tested apart."""

import dataclasses
import hashlib
import importlib.util
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mirage_rtc import enhancer_commands, model_commands
from mirage_rtc.errors import BadInput
from models import codeformer_store
from models.neural_face_catalog import CODEFORMER
from models.runtime import NetworkError
from models.store import Store

BYTES = b"a checkpoint"
SPEC = dataclasses.replace(CODEFORMER, bytes=len(BYTES), sha256=hashlib.sha256(BYTES).hexdigest())


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store whose catalogue has one checkpoint, which lies outside of it still."""
    for module in (enhancer_commands, model_commands):
        monkeypatch.setattr(module, "CODEFORMER", SPEC)
    (tmp_path / "got.pth").write_bytes(BYTES)
    return Store(tmp_path / "models", offline=True, catalog=(SPEC,))


def imported(store: Store) -> str:
    """`models import`; what was printed."""
    console = Console(file=io.StringIO(), width=200)
    model_commands.import_files(store, [store.root.parent / "got.pth"], console, agreed=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_without_torch_the_checkpoint_is_kept_and_it_is_said_what_to_install(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import that could do only half of it is no failure."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "pip install '.[convert]'" in imported(store)
    assert store.path(SPEC).read_bytes() == BYTES


def test_with_torch_the_graph_is_made_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the file in the store; a second import finds it whole, a damaged one is made anew, a fetch makes it too."""
    enhancer_import = pytest.importorskip("models.convert.enhancer_import")
    made: list[Path] = []

    def convert(path: Path, *, folders: Any, run: Any, progress: Any) -> float:
        progress("exporting")
        made.append(path)
        with folders.adding(codeformer_store.NAME) as folder:
            (folder / codeformer_store.GRAPH_NAME).write_bytes(b"a graph")
        return 1e-6

    monkeypatch.setattr(enhancer_import, "import_codeformer", convert)
    assert "CodeFormer's graph" in imported(store)
    imported(store)
    assert made == [store.path(SPEC)]
    codeformer_store.codeformer_graph(store.root).write_bytes(b"another")
    model_commands.fetch_models(store, [SPEC], Console(file=io.StringIO()), agreed=True)
    assert len(made) == 2
    assert codeformer_store.codeformer_graph(store.root).read_bytes() == b"a graph"


def test_a_checkpoint_that_cannot_be_converted_is_an_error_with_a_sentence(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any refused file."""
    enhancer_import = pytest.importorskip("models.convert.enhancer_import")

    def refuse(*_: Any, **__: Any) -> float:
        raise NetworkError("the graph differs")

    monkeypatch.setattr(enhancer_import, "import_codeformer", refuse)
    with pytest.raises(BadInput, match="the graph differs") as refused:
        imported(store)
    assert refused.value.code == "enhancer_unusable"

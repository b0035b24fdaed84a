"""`mirage-rtc models`: the table, the check, and the fetch without a network."""

import dataclasses
import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from rich.console import Console

from mirage_rtc.config import load
from mirage_rtc.errors import Forbidden, NotFound
from mirage_rtc.model_commands import (
    chosen,
    fetch_models,
    import_files,
    list_models,
    open_store,
    present,
    print_paths,
    verify_models,
)
from models.catalog import CATALOG, EMBEDDED
from models.model_spec import ModelSpec, WheelMember
from models.neural_face_catalog import ARCFACE_R50, CODEFORMER, INSWAPPER_FP16, INSWAPPER_FP32
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
    origin=WheelMember(distribution="faces", version="1.0", member="faces/face.tflite"),
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


def test_a_narrow_list_still_shows_whole_names_and_states(tmp_path: Path) -> None:
    """Names are what `fetch` wants to be given; a pipe counts as 80 columns."""
    narrow = Console(file=io.StringIO(), width=80)
    list_models(Store(tmp_path, offline=True), CATALOG, narrow)
    assert all(spec.name in text(narrow) for spec in CATALOG)
    assert text(narrow).count("missing") == len(CATALOG)


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
    assert chosen((), EMBEDDED) == EMBEDDED
    assert chosen((CATALOG[1].name,)) == (CATALOG[1],)
    with pytest.raises(NotFound, match=CATALOG[0].name):
        chosen(("dream.onnx",))


RESEARCH = dataclasses.replace(SPEC, name="swap.tflite", licence="Research only", commercial=False)


def asking(answer: str, monkeypatch: pytest.MonkeyPatch) -> Console:
    """A terminal with somebody at it who types `answer`."""
    monkeypatch.setattr("builtins.input", lambda *_: answer)
    return Console(file=io.StringIO(), width=200, force_terminal=True)


def research_store(root: Path) -> Store:
    """A store of one model that may not be used commercially, with the file that holds it beside."""
    root.mkdir(exist_ok=True)
    (root / "got elsewhere").write_bytes(BYTES)
    return Store(root / "models", offline=True, catalog=(RESEARCH,))


def test_a_licence_is_asked_for_once_and_the_answer_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question names file, licence and source; the next import of that licence asks nothing."""
    models, console = research_store(tmp_path), asking("y", monkeypatch)
    assert import_files(models, [tmp_path / "got elsewhere"], console) == 0
    assert all(word in text(console) for word in ("swap.tflite", "Research only", "not for commercial use"))
    assert models.state(RESEARCH) == "ready"
    assert models.licences.accepted("Research only")
    assert import_files(models, [tmp_path / "got elsewhere"], Console(file=io.StringIO())) == 0


@pytest.mark.parametrize("answer", ["n", ""])
def test_without_a_yes_nothing_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """No, and the enter key, which must not mean yes."""
    models = research_store(tmp_path)
    with pytest.raises(Forbidden, match="--accept-licence"):
        import_files(models, [tmp_path / "got elsewhere"], asking(answer, monkeypatch))
    assert models.state(RESEARCH) == "missing"
    assert not models.licences.accepted("Research only")


def test_where_nobody_can_be_asked_only_the_option_accepts(tmp_path: Path, console: Console) -> None:
    """A script or a container: refused, until it says so."""
    models = research_store(tmp_path)
    with pytest.raises(Forbidden):
        fetch_models(models, (RESEARCH,), console)
    with pytest.raises(ModelMissing, match="offline"):
        fetch_models(models, (RESEARCH,), console, agreed=True)
    assert import_files(models, [tmp_path / "got elsewhere"], console) == 0


def test_a_free_model_is_imported_unasked_and_found_by_its_path(tmp_path: Path, console: Console) -> None:
    """One line, the path alone, for a script."""
    (tmp_path / "renamed").write_bytes(BYTES)
    assert import_files(store(tmp_path / "models"), [tmp_path / "renamed"], console) == 0
    paths = Console(file=io.StringIO(), width=20)
    assert print_paths(store(tmp_path / "models"), (SPEC,), paths) == 0
    assert text(paths) == f"{tmp_path / 'models' / SPEC.name}\n"


def test_a_path_of_an_absent_model_is_a_sentence(tmp_path: Path, console: Console) -> None:
    """It ends in exit code 2 and what to do."""
    with pytest.raises(ModelMissing, match="missing"):
        print_paths(store(tmp_path), (SPEC,), console)


def test_the_server_s_store_looks_where_insightface_keeps_its_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file there counts, under the pack's folder; what no name asks for is checked only where it is there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    models = open_store(load(None, {"MIRAGE_DATA_DIR": str(tmp_path / "data")}))
    assert present(models) == EMBEDDED
    pack = tmp_path / ".insightface" / "models" / "buffalo_l"
    pack.mkdir(parents=True)
    (pack / "w600k_r50.onnx").write_bytes(b"cut short")
    assert present(models) == (*EMBEDDED, ARCFACE_R50)
    with pytest.raises(ModelMissing, match=str(pack)):
        models.path(ARCFACE_R50)


@pytest.mark.parametrize(("file", "spec"), [("inswapper_128.onnx", INSWAPPER_FP32), ("mine.onnx", INSWAPPER_FP16)])
def test_addresses_can_be_set(tmp_path: Path, file: str, spec: ModelSpec) -> None:
    """Another place, the same bytes: the two swappers are told apart by the name at the end of the address."""
    swapper, enhancer = f"https://mirror.example/{file}?x=1", "https://mirror.example/c.pth"
    settings = {
        "MIRAGE_DATA_DIR": str(tmp_path),
        "MIRAGE_INSWAPPER_URL": swapper,
        "MIRAGE_CODEFORMER_URL": enhancer,
        "MIRAGE_OFFLINE": "1",
    }
    models = open_store(load(None, settings))
    assert models.address(spec) == swapper
    assert models.address(CODEFORMER) == enhancer
    other = INSWAPPER_FP16 if spec is INSWAPPER_FP32 else INSWAPPER_FP32
    assert models.address(other).startswith("https://huggingface.co/")

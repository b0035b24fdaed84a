"""Which enhancers an engine has, by store, configuration and what runs them; and why one that was named is missing."""

import dataclasses
import hashlib
from pathlib import Path

import pytest

from models import codeformer_store, codeformer_torch, enhancer_choice
from models.enhancer_choice import open_enhancers
from models.face_options import EnhancerChoice
from models.graph_opener import GpuRuntime, GraphOpener
from models.model_spec import ModelSpec
from models.neural_face_catalog import CODEFORMER, GFPGAN_1_4, GPEN_256
from models.runtime import OnnxGraph
from models.store import Store
from tests.enhancer_parts import sharpener

GPEN = sharpener(256, batch=1, fidelity=False, names=("in", "out"))


def spec_of(spec: ModelSpec, content: bytes) -> ModelSpec:
    """The catalogue's entry with other bytes."""
    return dataclasses.replace(spec, bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), also=())


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with GPEN's stand-in and CodeFormer's graph, without GFPGAN."""
    gpen = spec_of(GPEN_256, GPEN)
    monkeypatch.setattr(enhancer_choice, "GPEN_256", gpen)
    (tmp_path / gpen.name).write_bytes(GPEN)
    with codeformer_store.converted(tmp_path).adding(codeformer_store.NAME) as folder:
        (folder / codeformer_store.GRAPH_NAME).write_bytes(sharpener())
    return Store(tmp_path, offline=True, catalog=(gpen, GFPGAN_1_4, CODEFORMER))


class Pretender(GraphOpener):
    """Says that it has a GPU and opens on the CPU: what is chosen is looked at, not how fast it is."""

    def open(self, path: Path, contract: object, **_: object) -> OnnxGraph:
        """As on a CPU."""
        return OnnxGraph(path, contract)  # type: ignore[arg-type]


def names(store: Store, choice: EnhancerChoice, gpu: GpuRuntime | None) -> tuple[list[str], str]:
    """The names of what opens, and what is said."""
    opened, said = open_enhancers(store, choice, Pretender(gpu))
    return [one.kind.name for one in opened], " ".join(said)


@pytest.mark.parametrize(
    ("choice", "gpu", "wanted"),
    [
        ("off", "tensorrt", []),
        ("auto", None, []),
        ("auto", "tensorrt", ["codeformer", "gpen-256"]),
        ("auto", "cuda", ["gpen-256"]),
        ("codeformer", "cuda", ["codeformer"]),
        ("codeformer", None, ["codeformer"]),
        ("gpen-256", None, ["gpen-256"]),
    ],
)
def test_what_runs_in_time_is_taken_and_what_is_named(
    store: Store, choice: EnhancerChoice, gpu: GpuRuntime | None, wanted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CodeFormer never on ONNX Runtime's CUDA provider unless it is named, nothing on a CPU unless it is named."""
    monkeypatch.setattr(codeformer_torch, "torch_has_gpu", lambda: False)
    found, said = names(store, choice, gpu)
    assert found == wanted
    assert all(name in said for name in wanted)


def test_what_is_named_and_missing_is_told_with_its_command(store: Store) -> None:
    """In `auto` nobody asked for it, and nothing is said."""
    found, said = names(store, "gfpgan", "cuda")
    assert found == []
    assert "models fetch GFPGANv1.4.onnx" in said
    assert "GFPGAN" not in names(store, "auto", "tensorrt")[1]


def test_one_that_cannot_be_opened_is_told_and_the_others_run(store: Store) -> None:
    """A graph of another network, pinned or not."""
    graph = codeformer_store.codeformer_graph(store.root)
    codeformer_store.converted(store.root).remove(codeformer_store.NAME)
    assert not graph.exists()
    with codeformer_store.converted(store.root).adding(codeformer_store.NAME) as folder:
        (folder / codeformer_store.GRAPH_NAME).write_bytes(GPEN)
    found, said = names(store, "auto", "tensorrt")
    assert found == ["gpen-256"]
    assert "codeformer cannot be opened" in said


def test_on_cuda_torch_runs_codeformer_where_it_is(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the checkpoint, in half precision; without the checkpoint it is not there."""
    monkeypatch.setattr(codeformer_torch, "torch_has_gpu", lambda: True)
    assert names(store, "auto", "cuda")[0] == ["gpen-256"]
    checkpoint = spec_of(CODEFORMER, b"weights")
    monkeypatch.setattr(enhancer_choice, "CODEFORMER", checkpoint)
    (store.root / checkpoint.name).write_bytes(b"weights")
    opened: list[Path] = []

    def made(path: Path) -> object:
        opened.append(path)
        return object()

    monkeypatch.setattr(codeformer_torch, "TorchCodeFormer", made)
    assert names(store, "auto", "cuda")[0] == ["codeformer", "gpen-256"]
    assert opened == [store.root / checkpoint.name]

"""CodeFormer's checkpoint becomes a graph that gives what torch gives; at full size `test_codeformer_network` looks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import onnx
import torch

from models import codeformer_store
from models.codeformer_store import CODEFORMER_CONTRACT, FIDELITY, PICTURE
from models.convert import enhancer_import
from models.convert.codeformer_network import KEY, CodeFormer
from models.convert.enhancer_import import PROBES, import_codeformer
from models.runtime import NetworkError, OnnxGraph, Placement

NARROW = 32


def run_graph(path: Path, given: Mapping[str, Any]) -> np.ndarray:
    """Once, on the CPU."""
    return np.asarray(OnnxGraph(path, placement=Placement(threads=2)).run(given)[0])


def narrow_checkpoint(folder: Path) -> Path:
    """Half as wide, with weights of noise that keep the size of what passes through."""
    torch.manual_seed(3)
    path = folder / "codeformer.pth"
    torch.save({KEY: CodeFormer(NARROW).state_dict()}, path)
    return path


def test_a_checkpoint_becomes_a_graph_of_faces_each_with_its_fidelity(tmp_path: Path) -> None:
    """Stored whole, near torch, open in the number of faces, computing no shapes; the second face has its own wish."""
    path, folders = narrow_checkpoint(tmp_path), codeformer_store.converted(tmp_path)
    answers: list[np.ndarray] = []

    def run_pair(path: Path, given: Mapping[str, Any]) -> np.ndarray:
        pair = np.repeat(given[PICTURE], 2, axis=0)
        answers.append(
            run_graph(path, {PICTURE: pair, FIDELITY: np.array([0.75, 0.25], np.float32).reshape(2, 1, 1, 1)})
        )
        return answers[0][:1]

    assert import_codeformer(path, folders=folders, run=run_pair, progress=lambda _: None, width=NARROW) <= 1e-4
    assert np.abs(answers[0][1] - answers[0][0]).mean() > 0.01
    graph = onnx.load(codeformer_store.codeformer_graph(tmp_path), load_external_data=False).graph
    assert {node.op_type for node in graph.node} & {"Shape", "Size", "If", "Loop", "NonZero"} == set()
    assert [tensor.name for tensor in graph.input] == [tensor.name for tensor in CODEFORMER_CONTRACT.inputs]


def test_a_graph_that_answers_otherwise_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is at fault; every probe was tried, the sentence says so, and nothing lies there."""
    folders, tried = codeformer_store.converted(tmp_path), []
    monkeypatch.setattr(enhancer_import, "load_codeformer", lambda *_: lambda picture, _: picture)
    monkeypatch.setattr(enhancer_import, "export", lambda *_: None)

    def wrong(path: Path, given: Mapping[str, Any]) -> np.ndarray:
        tried.append(given)
        return np.asarray(given[PICTURE] + np.float32(0.001))

    with pytest.raises(NetworkError, match="differs from torch"):
        import_codeformer(tmp_path / "codeformer.pth", folders=folders, run=wrong, progress=lambda _: None)
    assert len(tried) == PROBES
    assert folders.names() == ()

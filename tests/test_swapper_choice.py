"""Which swapper's files are taken: InSwapper by default, HyperSwap when chosen or alone; the rest is told of."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from models import swapper_choice
from models.graph_opener import GraphOpener
from models.hyperswap import HyperSwap
from models.model_spec import ModelSpec
from models.neural_face_catalog import HYPERSWAPS
from models.runtime import NetworkError
from models.store import ModelMissing, Store
from tests import mask_graphs


def put(root: Path, spec: ModelSpec, content: bytes) -> ModelSpec:
    """A file in the store, and the entry that pins it."""
    (root / spec.name).write_bytes(content)
    return replace(spec, bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), also=())


def test_without_any_the_usual_file_is_asked_for(tmp_path: Path) -> None:
    """With its command, whichever is chosen automatically; HyperSwap's own when that is chosen."""
    store = Store(tmp_path, offline=True)
    for choice, name in (("auto", "inswapper_128_fp16"), ("inswapper", "inswapper_128_fp16"), ("hyperswap", "1a_256")):
        with pytest.raises(ModelMissing, match=f"models fetch .*{name}"):
            swapper_choice.files(store, choice)  # type: ignore[arg-type]


def test_hyperswap_alone_is_taken_automatically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And opened; a file before it that is another network is refused and named."""
    first = put(tmp_path, HYPERSWAPS[0], mask_graphs.xseg())
    second = put(tmp_path, HYPERSWAPS[1], mask_graphs.hyperswap())
    monkeypatch.setattr(swapper_choice, "HYPERSWAPS", (first, second, HYPERSWAPS[2]))
    store = Store(tmp_path, offline=True)
    paths = swapper_choice.files(store, "auto")
    assert [path.name for path in paths] == [first.name, second.name]
    assert swapper_choice.files(store, "hyperswap") == paths
    swapper, path, refused = swapper_choice.open_swapper(paths, GraphOpener(None))
    assert (type(swapper), path.name, len(refused)) == (HyperSwap, second.name, 1)
    assert first.name in refused[0]
    with pytest.raises(NetworkError):
        swapper_choice.open_swapper(paths[:1], GraphOpener(None))
    with pytest.raises(ModelMissing, match="inswapper"):
        swapper_choice.files(store, "inswapper")

"""A ready rmvpe.onnx: stored as it is when it does what RMVPE does; refused, with nothing left, when it does not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mirage_rtc.voice_commands import run_graph
from models.pinned_folders import sha256
from models.ready_network import store_ready
from models.runtime import Placement
from models.voice_networks import PITCH, VoiceNetworkStore, spoken_picture
from models.voice_pitch import choose_pitch
from models.voice_refusal import VoiceRefused
from tests.onnx_writer import GraphWriter

BINS = PITCH.output_shape[2]


def pitchy(given: str = "input", bins: int = BINS, last: str = "Sigmoid", expand: int = 0) -> bytes:
    """A graph in RMVPE's shape, of one product: mel [n, 128, T] to [n, T, 360]."""
    writer = GraphWriter()
    x = writer.input(given, ("batch", 128, "frames"))
    turned = writer.node("Transpose", [x], perm=(0, 2, 1))
    weights = 0.1 * np.random.default_rng(1).standard_normal((128, bins), np.float32)
    product = writer.node("MatMul", [turned, writer.constant("w", weights)])
    if expand:
        shape = writer.constant("shape", np.array([expand, 1, 1, 1], np.int64))
        product = writer.node("Expand", [writer.node("Unsqueeze", [product], axes=(0,)), shape])
    writer.node(last, [product], "output")
    writer.output("output", ("batch", "frames", bins))
    return writer.model()


def stored(folder: Path, content: bytes) -> VoiceNetworkStore:
    """From a file beside the store."""
    path, store = folder / "rmvpe.onnx", VoiceNetworkStore(folder / "networks")
    path.write_bytes(content)
    assert store_ready(path, store=store, progress=lambda _: None) == (PITCH.name,)
    return store


def test_a_ready_graph_is_stored_as_it_is_and_used(tmp_path: Path) -> None:
    """Byte for byte, with its hash on record, whatever its input is called; no half precision without PyTorch."""
    store = stored(tmp_path, pitchy())
    assert store.graph(PITCH).read_bytes() == (tmp_path / "rmvpe.onnx").read_bytes()
    assert store.source(PITCH).sha256 == sha256(tmp_path / "rmvpe.onnx")
    assert store.graph(PITCH, half=True) == store.graph(PITCH)
    assert run_graph(store.graph(PITCH), {"input": spoken_picture()}).shape == PITCH.output_shape
    tracker, _ = choose_pitch(store, Placement(), half=False)
    kept, ahead = tracker.open().hear(np.zeros(640, np.float32))
    assert kept.shape == ahead.shape == (4,)
    assert (kept > 0).all()


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "other sizes": (lambda: pitchy(bins=359), "gives float32"),
    "no salience": (lambda: pitchy(last="Neg"), "no salience between 0 and 1"),
    "does not load": (lambda: pitchy(last="GRU"), "ONNX Runtime can run"),
    "takes all memory": (lambda: pitchy(expand=1 << 20), "more memory|ONNX Runtime can run|does not take"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_not_rmvpe_is_refused_and_nothing_stays(tmp_path: Path, case: str) -> None:
    """Tried in a process of its own, which alone suffers for it."""
    content, words = BROKEN[case]
    with pytest.raises(VoiceRefused, match=words) as caught:
        stored(tmp_path, content())
    assert caught.value.code == "graph_contract"
    assert [path.name for path in (tmp_path / "networks").iterdir()] == [".lock"]


def test_a_file_that_is_not_plain_is_refused_before_it_is_run(tmp_path: Path) -> None:
    """The store is not even made."""
    with pytest.raises(VoiceRefused) as caught:
        stored(tmp_path, pitchy(last="Loop"))
    assert caught.value.code == "graph_format"
    assert not (tmp_path / "networks").exists()

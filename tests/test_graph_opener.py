"""Where the networks of an engine are tried, and what is kept for the next start."""

import threading
from pathlib import Path

import numpy as np
import pytest

from models import engine_cache, gpu_status, trusted_graph
from models.gpu_status import GpuDevice
from models.graph_opener import GraphOpener
from models.model_spec import GraphContract, TensorSpec
from models.placement import Placement
from models.runtime import NetworkError, OnnxGraph
from models.static_graph import ONE_BY_ONE, StaticShapes
from models.trusted_graph import Trusted
from tests.onnx_writer import affine_picture

CONTRACT = GraphContract(inputs=(TensorSpec(name="x", shape=(1, 3, 8, 8)),), outputs=(TensorSpec(shape=(1, 3, 8, 8)),))
CARD = GpuDevice(name="NVIDIA A10G", capability="8.6", total_bytes=24 << 30, driver="580.1")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A sound network on disk."""
    path = tmp_path / "net.onnx"
    path.write_bytes(affine_picture(np.ones((3, 8, 8), np.float32), np.ones((3, 8, 8), np.float32)))
    return path


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU and TensorRT."""
    monkeypatch.setattr(gpu_status, "device", lambda index: CARD)
    monkeypatch.setattr(engine_cache, "tensorrt_version", lambda: "101300")


def test_without_a_gpu_it_is_the_cpu_and_no_second_copy(net: Path, tmp_path: Path) -> None:
    """Nothing is compared, nothing kept."""
    opener = GraphOpener(None, cache=tmp_path / "cache")
    assert isinstance(opener.open(net, CONTRACT), OnnxGraph)
    assert (opener.provider, opener.said) == ("cpu", [])
    assert not (tmp_path / "cache").exists()


def test_a_gpu_that_is_not_there_is_an_error_with_the_command(net: Path) -> None:
    """The CPU is never taken in its place in silence."""
    with pytest.raises(NetworkError, match=r"pip install '\.\[cuda\]'"):
        GraphOpener("cuda").open(net, CONTRACT)


@pytest.mark.usefixtures("card")
def test_tensorrt_is_tried_in_half_precision_then_full_then_cuda(net: Path, tmp_path: Path) -> None:
    """Each precision keeps its engines in a folder of its own; shapes too are part of what they are for."""
    opener = GraphOpener("tensorrt", cache=tmp_path / "cache", device=1)
    half, full, cuda = opener.places(net, ONE_BY_ONE)
    assert [(place.provider, place.half, place.captured, place.device) for place in (half, full, cuda)] == [
        ("tensorrt", True, True, 1),
        ("tensorrt", False, True, 1),
        ("cuda", False, True, 1),
    ]
    folders = {place.cache for place in (half, full)}
    folders.add(next(opener.places(net, StaticShapes(batches=(1, 2)))).cache)
    assert len(folders) == 3
    assert all(folder is not None and folder.is_dir() for folder in folders)
    assert half.cache == next(opener.places(net, ONE_BY_ONE)).cache
    assert list(GraphOpener("cuda").places(net, ONE_BY_ONE)) == [Placement(provider="cuda", captured=True)]


@pytest.mark.usefixtures("card")
def test_bytes_in_the_place_of_a_file_s_have_a_folder_of_their_own(net: Path, tmp_path: Path) -> None:
    """A swapper with its batch opened and as it is are two networks of one file."""
    opener = GraphOpener("tensorrt", cache=tmp_path / "cache")
    contents = (None, b"opened batch", b"opened otherwise", net.read_bytes())
    folders = [next(opener.places(net, ONE_BY_ONE, content)).cache for content in contents]
    assert len(set(folders)) == 3
    assert folders[0] == folders[3]


@pytest.mark.usefixtures("card")
def test_a_folder_for_full_precision_is_made_only_when_half_was_refused(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty one would count among those that are kept, and drive a built engine out."""
    made: list[int] = []

    def tried(path: Path, contract: GraphContract, place: Placement, *_: object) -> OnnxGraph:
        made.append(len(list((tmp_path / "cache" / "tensorrt").iterdir())))
        if place.half and len(made) > 1:
            raise NetworkError("half precision is away")
        return OnnxGraph(path)

    monkeypatch.setattr(trusted_graph, "_opened", tried)
    opener = GraphOpener("tensorrt", cache=tmp_path / "cache")
    opener.open(net, CONTRACT)
    assert (made, opener.said) == ([1], [])
    opener.open(net, CONTRACT)
    assert (made, opener.said) == ([1, 1, 2], ["half precision is away"])


@pytest.mark.usefixtures("card")
def test_what_this_process_opened_is_not_deleted_for_what_it_opens_next(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that a session has open would be built anew at the next start, and at each after it."""
    monkeypatch.setattr(engine_cache, "FOLDERS_MAX", 2)
    opener = GraphOpener("tensorrt", cache=tmp_path / "cache")
    folders = [next(opener.places(net, StaticShapes(batches=(1, most)))).cache for most in (2, 3, 4, 5)]
    assert all(folder is not None and folder.is_dir() for folder in folders)


@pytest.mark.usefixtures("card")
def test_another_thread_s_networks_are_not_captured(net: Path) -> None:
    """An enhancer is opened in its own thread, perhaps while others run: a capture would break them, or they it."""
    opener = GraphOpener("tensorrt")
    found: list[Placement] = []
    thread = threading.Thread(target=lambda: found.extend(opener.places(net, ONE_BY_ONE)))
    thread.start()
    thread.join()
    assert [place.captured for place in found] == [False, False, False]
    assert all(place.captured for place in opener.places(net, ONE_BY_ONE))


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize("missing", ["card", "tensorrt", "cache", "file"])
def test_engines_are_not_kept_where_something_they_depend_on_is_unknown(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """An engine of another card would be loaded without a word."""
    if missing == "card":
        monkeypatch.setattr(gpu_status, "device", lambda index: None)
    if missing == "tensorrt":
        monkeypatch.setattr(engine_cache, "tensorrt_version", lambda: "")
    path = tmp_path / "nothing.onnx" if missing == "file" else net
    opener = GraphOpener("tensorrt", cache=None if missing == "cache" else tmp_path / "cache")
    assert [place.cache for place in opener.places(path, ONE_BY_ONE)] == [None, None, None]


def test_what_was_refused_is_told(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why a network does not run in half precision belongs into the log, with all others of the engine."""
    opener, graph = GraphOpener("tensorrt"), OnnxGraph(net)
    refused = Trusted(graph=graph, placement=Placement(provider="cuda"), refused=("net.onnx is 30% away",))
    monkeypatch.setattr(trusted_graph, "open_trusted", lambda *_, **__: refused)
    assert opener.open(net, CONTRACT) is graph
    assert opener.said == ["net.onnx is 30% away"]

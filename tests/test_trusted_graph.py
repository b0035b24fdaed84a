"""Networks are opened where they answer as the CPU does; the CPU's answer is made once."""

import gc
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import trusted_graph
from models.engine_cache import KEY_FILE
from models.model_spec import GraphContract, TensorSpec
from models.placement import Placement
from models.runtime import Array, NetworkError, OnnxGraph, SessionRefused
from models.static_graph import StaticShapes
from models.trusted_graph import Trusted, open_trusted, require_agreement
from tests.onnx_writer import affine_picture

CONTRACT = GraphContract(
    inputs=(TensorSpec(name="x", shape=(None, 3, 8, 8)),), outputs=(TensorSpec(shape=(None, 3, 8, 8)),)
)
ONES = np.ones((3, 8, 8), np.float32)
SOUND = affine_picture(2 * ONES, ONES)
HALF, FULL = Placement(provider="tensorrt", half=True), Placement(provider="cuda")


class Elsewhere:
    """A network on a GPU: the CPU's answers, times `error`."""

    def __init__(self, path: Path, contract: GraphContract, shapes: StaticShapes, **options: Any) -> None:
        placement: Placement = options["placement"]
        ALIVE.append(sum(one() is not None for one in MADE))
        MADE.append(weakref.ref(self))
        if placement.provider in REFUSED:
            raise NetworkError(f"no {placement.provider} here")
        if placement.cache is not None and any(file.stat().st_size == 0 for file in placement.cache.rglob("*.engine")):
            raise SessionRefused("TensorRT EP could not deserialize engine from cache")
        self._graph = OnnxGraph(path, contract, content=options["content"])
        self._error = ERRORS.get(placement, 1.0)
        self.inputs, self.outputs = self._graph.inputs, self._graph.outputs

    def run(self, feeds: Mapping[str, Array]) -> tuple[Array, ...]:
        """Off by `error`."""
        return tuple(out * np.float32(self._error) for out in self._graph.run(feeds))


ERRORS: dict[Placement, float] = {}
REFUSED: set[str] = set()
MADE: list[weakref.ref[Elsewhere]] = []
ALIVE: list[int] = []
"""How many of those made lived when the next was made."""


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that computes as the CPU does, but for what a test says."""
    ERRORS.clear()
    REFUSED.clear()
    MADE.clear()
    ALIVE.clear()
    monkeypatch.setattr(trusted_graph, "StaticGraph", Elsewhere)


def opened(*placements: Placement, answers: Path | None = None) -> Trusted:
    """The sound network at the first that agrees."""
    return open_trusted(Path("net.onnx"), CONTRACT, placements, content=SOUND, answers=answers)


def test_the_first_placement_that_agrees_is_taken() -> None:
    """A hundredth off is half precision."""
    ERRORS[HALF] = 1.01
    assert opened(HALF, FULL).placement == HALF
    assert opened(HALF, FULL).refused == ()


def test_half_precision_that_is_wrong_makes_way_for_full(tmp_path: Path) -> None:
    """With the reason; a provider that is not there too."""
    ERRORS[HALF] = 1.3
    trusted = opened(HALF, FULL, answers=tmp_path)
    assert trusted.placement == FULL
    assert "30% away from what it answers on the CPU" in trusted.refused[0]
    REFUSED.add("tensorrt")
    assert opened(HALF, FULL).refused == ("no tensorrt here",)


def test_with_no_placement_left_the_last_reason_is_raised() -> None:
    """The caller falls back to another file or another engine."""
    ERRORS.update({HALF: float("nan"), FULL: 0.5})
    with pytest.raises(NetworkError, match="50% away"):
        opened(HALF, FULL)
    with pytest.raises(ValueError, match="no placement"):
        opened()


def test_what_was_refused_is_gone_when_the_next_is_opened() -> None:
    """The swapper in half precision and in full are two gigabytes with what they reserve: not both at once."""
    ERRORS.update({HALF: 1.3, replace(HALF, half=False): 1.3})
    gc.disable()
    try:
        kept = opened(HALF, replace(HALF, half=False), FULL)
    finally:
        gc.enable()
    assert (kept.placement, ALIVE) == (FULL, [0, 0, 0])
    assert len(kept.refused) == 2


def test_an_engine_that_cannot_be_read_is_built_anew(tmp_path: Path) -> None:
    """Cut short by a killed process, it was refused at every start; what answers otherwise is not built for that."""
    place, whole = replace(HALF, cache=tmp_path), tmp_path / "16px" / "whole.engine"
    for file in (tmp_path / "net.engine", tmp_path / "16px" / "net.engine"):
        file.parent.mkdir(exist_ok=True)
        file.touch()
    (tmp_path / KEY_FILE).write_text("{}")
    assert opened(place).placement == place
    assert [file.name for file in tmp_path.iterdir()] == [KEY_FILE]

    whole.parent.mkdir()
    whole.write_bytes(b"engine")
    ERRORS[place] = 1.3
    with pytest.raises(NetworkError, match="30% away"):
        opened(place)
    assert whole.is_file()
    REFUSED.add("tensorrt")
    ALIVE.clear()
    with pytest.raises(NetworkError, match="no tensorrt"):
        opened(place)
    assert len(ALIVE) == 1


def test_on_the_cpu_there_is_nothing_to_compare_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the reference, and is loaded once."""
    monkeypatch.setattr(trusted_graph, "require_agreement", lambda *_, **__: pytest.fail("compared with itself"))
    assert isinstance(opened(Placement()).graph, OnnxGraph)


def test_the_cpu_s_answer_is_made_once_for_the_bytes_of_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start reads it; other bytes under the same name, or a damaged file, are computed anew."""
    loaded: list[Path] = []

    def counted(path: Path, **options: Any) -> OnnxGraph:
        loaded.append(path)
        return OnnxGraph(path, **options)

    graph = OnnxGraph(Path("net.onnx"), content=SOUND)
    monkeypatch.setattr(trusted_graph, "OnnxGraph", counted)
    folder = tmp_path / "answers"
    for _ in range(2):
        require_agreement(Path("net.onnx"), graph, CONTRACT, content=SOUND, answers=folder)
    assert len(loaded) == 1
    with pytest.raises(NetworkError, match="away"):
        require_agreement(Path("net.onnx"), graph, CONTRACT, content=affine_picture(3 * ONES, ONES), answers=folder)
    assert len(loaded) == 2
    assert len(list(folder.iterdir())) == 2
    for kept in folder.iterdir():
        kept.write_bytes(kept.read_bytes()[:100])
    require_agreement(Path("net.onnx"), graph, CONTRACT, content=SOUND, answers=folder)
    assert len(loaded) == 3


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    """A read-only disk: the comparison is made all the same."""
    (tmp_path / "answers").write_text("a file where a folder should be")
    graph = OnnxGraph(Path("net.onnx"), content=SOUND)
    require_agreement(Path("net.onnx"), graph, CONTRACT, content=SOUND, answers=tmp_path / "answers")

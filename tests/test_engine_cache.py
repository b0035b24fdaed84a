"""TensorRT's engines are kept apart by all that they depend on, and not for ever."""

import ctypes
import os
from dataclasses import replace
from pathlib import Path

import pytest

from models import engine_cache
from models.engine_cache import FOLDERS_MAX, EngineKey, folder

KEY = EngineKey(
    gpu="NVIDIA A10G",
    capability="8.6",
    tensorrt="101300",
    onnxruntime="1.32.0",
    half=True,
    model_sha256="6d51",
    shapes="1,2,4,8",
)


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, gpu="NVIDIA L4"),
        replace(KEY, capability="8.9"),
        replace(KEY, tensorrt="101400"),
        replace(KEY, onnxruntime="1.33.0"),
        replace(KEY, half=False),
        replace(KEY, model_sha256="98fa"),
        replace(KEY, shapes="1"),
    ],
    ids=lambda key: next(name for name in EngineKey.__slots__ if getattr(key, name) != getattr(KEY, name)),
)
def test_every_part_of_the_key_is_another_folder(tmp_path: Path, other: EngineKey) -> None:
    """TensorRT's provider would load an engine of another card, version or network without a word."""
    assert folder(tmp_path, other) != folder(tmp_path, KEY)
    assert folder(tmp_path, KEY) == folder(tmp_path, KEY)


def test_what_is_in_a_folder_stays_for_the_next_start(tmp_path: Path) -> None:
    """That is what it is for."""
    (folder(tmp_path, KEY) / "net.engine").write_bytes(b"engine")
    assert (folder(tmp_path, KEY) / "net.engine").read_bytes() == b"engine"


@pytest.mark.parametrize("key_file", [None, "", "{}"])
def test_a_folder_that_is_not_surely_of_this_key_is_emptied(tmp_path: Path, key_file: str | None) -> None:
    """Half made by a process that was killed, or changed by hand."""
    path = tmp_path / KEY.folder_name
    path.mkdir()
    (path / "net.engine").write_bytes(b"whose?")
    if key_file is not None:
        (path / engine_cache.KEY_FILE).write_text(key_file)
    assert [file.name for file in folder(tmp_path, KEY).iterdir()] == [engine_cache.KEY_FILE]


def test_folders_that_were_not_used_for_longest_go(tmp_path: Path) -> None:
    """A card, a driver or a model is changed now and then, and an engine is half a gigabyte."""
    keys = [replace(KEY, model_sha256=str(number)) for number in range(FOLDERS_MAX + 3)]
    for age, key in enumerate(reversed(keys)):
        os.utime(folder(tmp_path, key), (1e9 - age, 1e9 - age))
    made = folder(tmp_path, KEY)
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == FOLDERS_MAX
    assert made.name in left


def test_folders_in_use_stay_however_old_and_many(tmp_path: Path) -> None:
    """They count, so that of the others as many fewer are kept."""
    keys = [replace(KEY, model_sha256=str(number)) for number in range(FOLDERS_MAX)]
    paths = [folder(tmp_path, key) for key in keys]
    for age, path in enumerate(paths):
        os.utime(path, (1e9 - age, 1e9 - age))
    made = folder(tmp_path, KEY, in_use=paths[-3:])
    assert set(tmp_path.iterdir()) == {made, *paths[: FOLDERS_MAX - 4], *paths[-3:]}


def test_all_networks_of_an_engine_have_room_in_both_precisions_before_and_after_an_update(tmp_path: Path) -> None:
    """Detector, encoder, swapper, two masks, two enhancers: else something is built anew at every start."""
    old, new = (
        [replace(KEY, tensorrt=version, model_sha256=str(one), half=half) for one in range(7) for half in (True, False)]
        for version in ("101300", "101400")
    )
    paths = [folder(tmp_path, key) for key in (*old, *new)]
    assert all(path.is_dir() for path in paths)


def test_no_tensorrt_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing is kept; a library tells its own number."""
    assert engine_cache.tensorrt_version().isdigit() or engine_cache.tensorrt_version() == ""

    class Library:
        @staticmethod
        def getInferLibVersion() -> int:
            return 101300

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    assert engine_cache.tensorrt_version() == "101300"


def test_the_tensorrt_that_onnx_runtime_loads_is_asked_before_a_newer_one_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """pip's newest is 11, ONNX Runtime wants libnvinfer.so.10: engines would be kept under the wrong version."""

    class Library:
        def __init__(self, name: str) -> None:
            self._major = int(name.rpartition(".")[2])

        def getInferLibVersion(self) -> int:
            return self._major * 10_000

    monkeypatch.setattr(ctypes, "CDLL", Library)
    assert engine_cache.tensorrt_version() == "100000"


def test_a_key_s_folder_is_emptied_but_stays_the_key_s(tmp_path: Path) -> None:
    """With its parts; what is no engine is no reason to."""
    made = folder(tmp_path, KEY)
    part = engine_cache.part(made, "640px")
    assert part == made / "640px"
    (made / "timing.cache").write_bytes(b"times")
    assert not engine_cache.holds_engines(made)
    assert not engine_cache.holds_engines(None)
    (part / "net.engine").write_bytes(b"engine")
    assert engine_cache.holds_engines(made)
    engine_cache.empty(made)
    assert [file.name for file in made.iterdir()] == [engine_cache.KEY_FILE]
    assert folder(tmp_path, KEY) == made


def test_a_part_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    """A read-only disk costs the next start its minutes, not this one its engine."""
    (tmp_path / "file").touch()
    assert engine_cache.part(tmp_path / "file", "640px") is None

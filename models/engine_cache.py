"""Where TensorRT's engines are kept between starts: a folder for every set of things that an engine is built for.

An engine is right only for the card, the versions, the precision and the network that it was built for, and TensorRT's
provider looks at none of them (its documentation asks to delete old files by hand). So another set is another folder,
and folders that were not used for longest are deleted. Called by `face_engine_choice`.
"""

import contextlib
import ctypes
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path

FOLDERS_MAX = 40
"""Seven networks in the two precisions, and as many of before the last update or two; an engine is up to 0.6 GB."""
KEY_FILE = "key.json"
_TENSORRT_LIBRARIES = ("libnvinfer.so.10", "libnvinfer.so.11", "libnvinfer.so.9", "libnvinfer.so.8")
"""The one that ONNX Runtime 1.19 to 1.31 loads, then others: 11 may lie beside it, as pip's newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKey:
    """All that an engine depends on. `capability` such as "8.6"; `shapes` are those that it was tuned for."""

    gpu: str
    capability: str
    tensorrt: str
    onnxruntime: str
    half: bool
    model_sha256: str
    shapes: str

    @property
    def folder_name(self) -> str:
        """Of this key only."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def folder(root: Path, key: EngineKey, *, in_use: Iterable[Path] = ()) -> Path:
    """The folder of a key under `root`, made where it is not there, now the one used last; the oldest go.

    Those `in_use` stay, however many they are. A folder whose key file is not this key is emptied: it is half written,
    or somebody's. Raises OSError.
    """
    path = root / key.folder_name
    described = json.dumps(dataclasses.asdict(key), sort_keys=True, indent=1)
    key_file = path / KEY_FILE
    if path.exists() and (not key_file.is_file() or key_file.read_text(encoding="utf-8") != described):
        shutil.rmtree(path)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    key_file.write_text(described, encoding="utf-8")
    os.utime(path)
    _prune(root, spare={path, *in_use})
    return path


def part(folder: Path, name: str) -> Path | None:
    """A folder of its own in a key's folder; None where it cannot be made, and then nothing is kept."""
    path = folder / name
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return path


def holds_engines(folder: Path | None) -> bool:
    """Whether an engine is kept in a key's folder."""
    return folder is not None and any(folder.rglob("*.engine"))


def empty(folder: Path) -> None:
    """Delete what a key's folder keeps, but not that it is the key's; what cannot be deleted stays."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != KEY_FILE:
            with contextlib.suppress(OSError):
                path.unlink()


def tensorrt_version() -> str:
    """Of the library that would be loaded, such as "101300"; empty where there is none, and then nothing is kept."""
    for name in _TENSORRT_LIBRARIES:
        with contextlib.suppress(OSError, AttributeError):
            return str(ctypes.CDLL(name).getInferLibVersion())
    return ""


def _prune(root: Path, *, spare: Set[Path]) -> None:
    others = sorted((path for path in root.iterdir() if path.is_dir() and path not in spare), key=_used_s, reverse=True)
    for old in others[max(0, FOLDERS_MAX - len(spare)) :]:
        shutil.rmtree(old, ignore_errors=True)


def _used_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process deleted it
        return 0.0

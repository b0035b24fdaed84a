"""The recorded outputs of the reference networks, in `../shared/assets/golden` where that folder is present.

Each folder has a schema of tensors that are rebuilt by a formula, a case, and the arrays that the original code gave.
"""

import importlib.util
import json
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent.parent / "shared" / "assets" / "golden"
needed = pytest.mark.skipif(not ROOT.is_dir(), reason="the recorded outputs are not part of the repository")


@cache
def formula() -> ModuleType:
    """The module that rebuilds weights and inputs from their names."""
    spec = importlib.util.spec_from_file_location("golden_fill", ROOT / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def schema(tag: str) -> dict[str, Any]:
    """Names, shapes and recipes of a model."""
    read: dict[str, Any] = json.loads((ROOT / tag / "schema.json").read_text())
    return read


def weights(tag: str) -> dict[str, NDArray[Any]]:
    """The checkpoint's tensors in its order."""
    described = schema(tag)
    return {entry["name"]: formula().fill(entry, described["tag"]) for entry in described["tensors"]}


def unit(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """An input by its key: uniform, mean 0, variance 1."""
    made: NDArray[np.float32] = formula().unit(key, shape)
    return made


@cache
def arrays(tag: str) -> dict[str, NDArray[Any]]:
    """What the reference gave."""
    with np.load(ROOT / tag / "golden.npz") as stored:
        return {name: stored[name] for name in stored.files}

"""Rebuilds the weights and inputs of ../shared/assets/golden from its schemas, by the fill formula of FORMULA.md."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.asset_frames import GOLDEN

_SQRT3 = np.float32(1.7320508)


def schema(model: str) -> dict[str, Any]:
    """The schema of a fixture."""
    loaded: dict[str, Any] = json.loads((GOLDEN / model / "schema.json").read_text())
    return loaded


def raw24(key: str, count: int) -> NDArray[np.uint64]:
    """Integers in [0, 2**24) that depend on the key alone."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    return np.asarray(np.random.PCG64(seed).random_raw(count) >> np.uint64(40), np.uint64)


def unit(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Uniform numbers of mean 0 and variance 1."""
    count = int(np.prod(shape, dtype=np.int64))
    uniform = raw24(key, count).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    return np.asarray(uniform * _SQRT3, np.float32).reshape(shape)


def tensors(model: str) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Every tensor of a fixture's checkpoint by name, in order; the digests are compared."""
    described = schema(model)
    for entry in described["tensors"]:
        yield entry["name"], _filled(entry, described["tag"])


def inswapper_target(model: str) -> NDArray[np.uint8]:
    """The picture (128, 128, 3) RGB of an InSwapper fixture: coarse blocks and fine noise."""
    key = f"{model}/caseA/target"
    fine = (raw24(key, 128 * 128 * 3) >> np.uint64(16)).reshape(128, 128, 3)
    coarse = (raw24(f"{key}/coarse", 16 * 16 * 3) >> np.uint64(16)).reshape(16, 16, 3)
    blocks = coarse.repeat(8, 0).repeat(8, 1)
    return np.asarray((12 * blocks + 4 * fine) >> np.uint64(4), np.uint8)


def _filled(entry: dict[str, Any], tag: str) -> NDArray[np.generic]:
    shape, fill = tuple(entry["shape"]), entry["fill"]
    if fill is None:
        return np.zeros(shape, entry["dtype"])
    uniform = unit(f"{tag}/{entry['name']}", shape)
    uniform = np.abs(uniform) if fill.get("abs") else uniform
    value = (np.float32(fill["mean"]) + np.float32(fill["std"]) * uniform).astype(entry["dtype"])
    digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()[:16]
    assert digest == entry["sha256_16"], entry["name"]
    return np.asarray(value)

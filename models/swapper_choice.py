"""Which swapper the neural engine takes: InSwapper or HyperSwap, the first file that is there, whole and sound."""

from collections.abc import Sequence
from pathlib import Path

from models import hyperswap, inswapper
from models.face_options import SwapperChoice
from models.graph_opener import GraphOpener
from models.model_spec import ModelSpec
from models.neural_face_catalog import HYPERSWAPS, INSWAPPER_FP16, INSWAPPER_FP32
from models.runtime import NetworkError
from models.store import ModelMissing, Store
from models.swapper import Swapper

INSWAPPERS = (INSWAPPER_FP16, INSWAPPER_FP32)
"""The half-precision file first: half the memory, and the start-up test says where it fails."""


def files(store: Store, choice: SwapperChoice) -> tuple[Path, ...]:
    """The chosen swapper's files that are there and whole, best first. Raises `ModelMissing` for none."""
    if choice == "hyperswap":
        return _whole(store, HYPERSWAPS)
    try:
        return _whole(store, INSWAPPERS)
    except ModelMissing as missing:
        if choice == "inswapper":
            raise
        return _whole(store, HYPERSWAPS, instead=missing)


def open_swapper(paths: Sequence[Path], opener: GraphOpener) -> tuple[Swapper, Path, tuple[str, ...]]:
    """The first that passes its start-up test, its path, and why those before it were refused.

    Raises the last file's `NetworkError` when none passes.
    """
    if paths[0].name in {spec.name for spec in INSWAPPERS}:
        return inswapper.open_first_inswapper(paths, opener)
    refused: list[str] = []
    for path in paths[:-1]:
        try:
            return hyperswap.open_hyperswap(path, opener), path, tuple(refused)
        except NetworkError as error:
            refused.append(error.sentence)
    return hyperswap.open_hyperswap(paths[-1], opener), paths[-1], tuple(refused)


def _whole(store: Store, specs: Sequence[ModelSpec], instead: ModelMissing | None = None) -> tuple[Path, ...]:
    found: list[Path] = []
    faults: list[ModelMissing] = [] if instead is None else [instead]
    for spec in specs:
        try:
            found.append(store.path(spec))
        except ModelMissing as fault:
            faults.append(fault)
    if not found:
        raise faults[0]
    return tuple(found)

"""Files in the layout of faiss' "IVF,Flat", byte for byte as faiss 1.15.1 writes them, of numbers that are nobody's."""

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """What an index is made of; whole numbers, so that every machine and every version of numpy has the same."""

    centroids: Array
    vectors: Array
    lists: list[NDArray[np.int64]] = field(default_factory=list)
    """Which vectors lie nearest to each centroid."""


def recordings(width: int = 256, lists: int = 6, count: int = 200) -> Recordings:
    """Clouds around some points."""
    at = np.arange(lists)[:, None] * 31 + np.arange(width) * 17
    centroids = (at * at % 23 - 11).astype(np.float32)
    number = np.arange(count)[:, None]
    mixed = number * number * 7919 + np.arange(width) * (number + 3) * 13 + np.arange(width) ** 2
    spread = (mixed % 97 - 48).astype(np.float32) / 16
    vectors = (centroids[np.arange(count) * 5 % lists] + spread).astype(np.float32)
    nearest = np.square(vectors[:, None] - centroids).sum(axis=2).argmin(axis=1)
    return Recordings(
        centroids=centroids, vectors=vectors, lists=[np.flatnonzero(nearest == each) for each in range(lists)]
    )


def header(magic: bytes, width: int, count: int, *, trained: int = 1, metric: int = 1) -> bytes:
    """Of any index."""
    return magic + struct.pack("<iqqqBi", width, count, 1 << 20, 1 << 20, trained, metric)


def index_bytes(made: Recordings, *, sparse: bool = False, mapped: bool = False) -> bytes:
    """The whole file."""
    width, lists, count = made.centroids.shape[1], len(made.centroids), len(made.vectors)
    sizes = [len(each) for each in made.lists]
    parts = [header(b"IwFl", width, count), struct.pack("<QQ", lists, 1)]
    parts += [header(b"IxF2", width, lists), struct.pack("<Q", lists * width), made.centroids.tobytes()]
    parts += [struct.pack("<BQ", 1, count) + np.arange(count, dtype="<i8").tobytes() if mapped else bytes(9)]
    parts += [b"ilar", struct.pack("<QQ", lists, width * 4)]
    if sparse:
        pairs = [number for place, size in enumerate(sizes) if size for number in (place, size)]
        parts += [b"sprs", struct.pack(f"<Q{len(pairs)}Q", len(pairs), *pairs)]
    else:
        parts += [b"full", struct.pack(f"<Q{lists}Q", lists, *sizes)]
    for each in made.lists:
        parts += [made.vectors[each].tobytes(), each.astype("<i8").tobytes()]
    return b"".join(parts)

"""Retrieval: what was said, said as the voice's own recordings say it. The index of a voice on disk, and its search.

For every frame of content the 8 nearest of the recordings' frames are looked up and mixed, as RVC-Project (MIT) does
it. The vectors lie in lists around means, and only the list of the nearest mean is searched: that is what RVC does with
faiss (nprobe = 1), so a voice sounds as it does there, and a search costs the same for 10 000 vectors as for 200 000.
Each frame's answer depends on that frame alone. `models.convert.faiss_index` writes the files, once, at import.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.voice_refusal import VoiceRefused

NEIGHBOURS = 8
MOST_IN_A_LIST = 4096
"""Of vectors: every 20 ms one list is searched, of 768 numbers each in 13 ms on a server's core, or less where a hop's
frames share one: it is read once. RVC's have some 40."""
LARGEST_VALUE = float(np.finfo(np.float16).max)
UNVOICED_BELOW_HZ = 1.0
_LEAST_DISTANCE = 1e-9

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexShape:
    """How much an index holds."""

    vectors: int
    lists: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFiles:
    """The three arrays of a voice's index, as .npy files without pickles."""

    vectors: Path
    """float16 [vectors, width], list after list: half the bytes, and rounding by 0.05 % moves no neighbour far."""
    centroids: Path
    """float32 [lists, width]."""
    starts: Path
    """int64 [lists + 1]: list i is the rows starts[i] to starts[i + 1]."""

    def write(self, shape: IndexShape, centroids: Array, starts: NDArray[np.int64], blocks: Iterable[Array]) -> None:
        """Into a folder that is being added; `blocks` are the vectors in order, each read when it is its turn."""
        np.save(self.centroids, centroids.astype(np.float32), allow_pickle=False)
        np.save(self.starts, starts.astype(np.int64), allow_pickle=False)
        size = (shape.vectors, shape.width)
        rows = np.lib.format.open_memmap(self.vectors, mode="w+", dtype=np.float16, shape=size)
        first = 0
        for block in blocks:
            rows[first : first + len(block)] = block
            first += len(block)
        rows.flush()


def index_files(folder: Path) -> IndexFiles:
    """Where the index of a voice lies in its folder."""
    return IndexFiles(
        vectors=folder / "index_vectors.npy",
        centroids=folder / "index_centroids.npy",
        starts=folder / "index_starts.npy",
    )


class VoiceIndex:
    """A voice's index, ready to search; the vectors stay on the disk and are read where they are needed."""

    def __init__(self, vectors: NDArray[np.float16], centroids: Array, starts: NDArray[np.int64]) -> None:
        """As in `IndexFiles`."""
        self._vectors = vectors
        self._centroids = centroids
        self._starts = starts.tolist()
        self._squares = np.square(centroids).sum(axis=1)

    def retrieve(self, features: Array) -> Array:
        """For each row of [n, width] the mixture of its neighbours, of the weight 1 / d ** 4 each.

        RVC's arithmetic, d being the distance (faiss gives d ** 2, RVC squares its inverse). Where a list has fewer
        than 8 vectors those there are make the mixture; where it has none the row stays as it is.
        """
        # Row by row: a product of matrices rounds by how many rows there are, and wakes threads that wait for work.
        nearest = [int((self._squares - 2 * (self._centroids @ row)).argmin()) for row in features]
        made = features.copy()
        for number in set(nearest):
            rows = self._vectors[self._starts[number] : self._starts[number + 1]].astype(np.float32)
            for at in [each for each, found in enumerate(nearest) if found == number and len(rows)]:
                made[at] = _mixed(rows, features[at])
        return made


def _mixed(rows: Array, row: Array) -> Array:
    """The mixture of those of `rows` [n, width] that are nearest to `row`."""
    distances = np.square(rows - row).sum(axis=1)
    chosen = np.argsort(distances, kind="stable")[:NEIGHBOURS]
    weights = np.square(1 / np.maximum(distances[chosen].astype(np.float64), _LEAST_DISTANCE))
    return np.asarray((weights / weights.sum()) @ rows[chosen], np.float32)


def open_index(folder: Path, *, width: int) -> VoiceIndex | None:
    """The index in a verified folder, or None where the voice has none. Raises `VoiceRefused` "voice_damaged"."""
    files = index_files(folder)
    if not files.vectors.exists():
        return None
    try:
        vectors = np.load(files.vectors, mmap_mode="r", allow_pickle=False)
        centroids, starts = np.load(files.centroids, allow_pickle=False), np.load(files.starts, allow_pickle=False)
    except (OSError, ValueError):
        raise _damaged(folder) from None
    if not _fits(vectors, centroids, starts, width):
        raise _damaged(folder)
    if np.diff(starts).max(initial=0) > MOST_IN_A_LIST:
        sentence = (
            f"The retrieval index in {folder} has more than {MOST_IN_A_LIST} vectors in one list, too many to search "
            "while somebody speaks: remove the voice and import it again with an index as RVC makes it, or without one."
        )
        raise VoiceRefused("voice_damaged", sentence)
    return VoiceIndex(vectors, centroids, starts)


def blend(features: Array, retrieved: Array, pitch_hz: NDArray[np.floating[Any]], rate: float, protect: float) -> Array:
    """Features [n, width] with `rate` of what was retrieved; where the pitch [n] is 0, only `protect` of that.

    At `protect` 0.5 and above unvoiced frames are treated as all others (RVC's meaning of the number).
    """
    mixed = rate * retrieved + (1 - rate) * features
    kept = np.where(pitch_hz < UNVOICED_BELOW_HZ, protect, 1.0) if protect < 0.5 else np.ones(len(features))
    share = kept[:, None].astype(np.float32)
    return np.asarray(mixed * share + features * (1 - share), np.float32)


def _fits(vectors: NDArray[Any], centroids: NDArray[Any], starts: NDArray[Any], width: int) -> bool:
    """Whether the three arrays are one index."""
    kinds = (vectors.dtype.str, centroids.dtype.str, starts.dtype.str) == ("<f2", "<f4", "<i8")
    if not kinds or vectors.ndim != 2 or centroids.shape != (len(starts) - 1, width) or vectors.shape[1] != width:
        return False
    return starts.ndim == 1 and starts[0] == 0 and starts[-1] == len(vectors) and bool((np.diff(starts) >= 0).all())


def _damaged(folder: Path) -> VoiceRefused:
    sentence = f"The retrieval index in {folder} cannot be read: remove the voice and import it again."
    return VoiceRefused("voice_damaged", sentence)

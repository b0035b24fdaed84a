"""A retrieval index of an RVC voice (`.index`, faiss' "IVF,Flat"), read without faiss: bounded, numbers only.

faiss is native code that takes sizes from the file on trust, so this reads the one layout that RVC writes, checks every
size against the bytes that are there before anything of that size is made, and runs nothing. The layout is that of
faiss 1.15 (MIT, `impl/index_write.cpp`). Called by `models.convert.voice_import`.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from models.voice_index import LARGEST_VALUE, MOST_IN_A_LIST, IndexShape, index_files
from models.voice_refusal import VoiceRefused

MAX_VECTORS = 200_000
"""RVC itself replaces more than this by 10 000 means before it makes an index."""
MAX_LISTS = 16_384
MAX_BYTES = 1 << 30

_HEADER = struct.Struct("<iqqqBi")  # width, vectors, two placeholders, trained, metric
_L2 = 1
_FLOAT_BYTES, _ID_BYTES = 4, 8
_BLOCK_ROWS = 1024
_COUNT = struct.Struct("<Q")

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lists:
    """What lies before the vectors: a mean for each list, and how many vectors the list has."""

    centroids: Vectors
    sizes: NDArray[np.int64]


def store_index(path: Path, folder: Path, *, width: int) -> int:
    """Write the vectors of the index in `path` into a voice's folder in our own layout; returns how many there are.

    `width` is that of the voice's features, 256 or 768. Raises `VoiceRefused`: "index_unreadable", "index_size",
    "index_format", "index_width", "index_empty" or "index_damaged".
    """
    if not path.is_file():
        raise VoiceRefused("index_unreadable", f"{path} is no file: check the path.")
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise VoiceRefused("index_size", f"{path.name} is larger than {MAX_BYTES >> 20} MB: {_ADVICE}")
        return _Reader(path.name, file, size, width).store(folder)


_ADVICE = "make the index again with RVC, which then keeps 10 000 means, or import the voice without it."


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        sentence = f"{path} cannot be read ({error.strerror}): check the path and its permissions."
        raise VoiceRefused("index_unreadable", sentence) from None


class _Reader:
    """One pass over the file."""

    def __init__(self, name: str, file: IO[bytes], size: int, width: int) -> None:
        self._name = name
        self._file = file
        self._left = size
        self._width = width

    def store(self, folder: Path) -> int:
        """Read everything, write it list by list."""
        count = self._header(b"IwFl", most=MAX_VECTORS)
        if count == 0:
            sentence = f"{self._name} holds no vectors: it is the one named trained_*, import the one named added_*."
            raise VoiceRefused("index_empty", sentence)
        lists = self._lists(count)
        if self._left != count * (self._width * _FLOAT_BYTES + _ID_BYTES):
            raise self._damaged()
        shape = IndexShape(vectors=count, lists=len(lists.sizes), width=self._width)
        starts = np.concatenate([[0], np.cumsum(lists.sizes)])
        index_files(folder).write(shape, lists.centroids, starts, self._vectors(lists.sizes))
        return count

    def _header(self, magic: bytes, *, most: int) -> int:
        """The head of an index of that kind; the number of its vectors."""
        if self._take(4) != magic:
            raise self._foreign()
        width, count, _, _, trained, metric = _HEADER.unpack(self._take(_HEADER.size))
        if metric != _L2 or trained != 1:
            raise self._foreign()
        if width != self._width:
            sentence = (
                f"{self._name} holds features of {width} numbers and this voice has {self._width}: "
                "it belongs to another voice, or to another version of RVC (v1 has 256, v2 has 768)."
            )
            raise VoiceRefused("index_width", sentence)
        if not 0 <= count <= most:
            raise VoiceRefused("index_size", f"{self._name} claims {count} vectors, the most is {most}: {_ADVICE}")
        return int(count)

    def _lists(self, count: int) -> _Lists:
        lists = self._count(MAX_LISTS)
        self._count(MAX_LISTS)  # how many lists its maker searched; RVC searches one, and so do we
        if not lists or self._header(b"IxF2", most=MAX_LISTS) != lists:
            raise self._damaged()
        if self._count(MAX_LISTS * self._width) != lists * self._width:
            raise self._damaged()
        centroids = self._floats(lists)
        self._skip_map(count)
        if self._take(4) != b"ilar" or self._count(MAX_LISTS) != lists:
            raise self._foreign()
        if self._count(self._width * _FLOAT_BYTES) != self._width * _FLOAT_BYTES:
            raise self._damaged()
        sizes = self._sizes(lists)
        if sizes.min() < 0 or sizes.max() > count or int(sizes.sum()) != count:
            raise self._damaged()
        if sizes.max() > MOST_IN_A_LIST:
            sentence = (
                f"{self._name} has {sizes.max()} vectors in one list, too many to search while somebody speaks "
                f"(the most is {MOST_IN_A_LIST}): {_ADVICE}"
            )
            raise VoiceRefused("index_size", sentence)
        return _Lists(centroids=centroids, sizes=sizes)

    def _skip_map(self, count: int) -> None:
        """Where each vector is, if faiss was asked to write that down: none, or one number a vector."""
        kind, entries = self._take(1)[0], self._count(MAX_VECTORS)
        if (kind, entries) not in ((0, 0), (1, count)):
            raise self._foreign()
        self._take(entries * _ID_BYTES)

    def _sizes(self, lists: int) -> NDArray[np.int64]:
        """Of each list: written in full, or where most are empty as pairs of list and size."""
        form, entries = self._take(4), self._count(2 * MAX_LISTS)
        numbers = np.frombuffer(self._take(entries * _COUNT.size), "<i8")
        if form == b"full" and entries == lists:
            return numbers
        if form != b"sprs" or entries % 2:
            raise self._damaged()
        places, found = numbers[::2], numbers[1::2]
        if len(places) and (places.min() < 0 or places.max() >= lists or len(np.unique(places)) != len(places)):
            raise self._damaged()
        sizes = np.zeros(lists, np.int64)
        sizes[places] = found
        return sizes

    def _vectors(self, sizes: NDArray[np.int64]) -> Iterator[Vectors]:
        """In the order of the lists, in blocks; the ids behind each list are of no use here."""
        for size in sizes.tolist():
            for first in range(0, size, _BLOCK_ROWS):
                yield self._floats(min(_BLOCK_ROWS, size - first))
            self._take(size * _ID_BYTES)

    def _floats(self, rows: int) -> Vectors:
        values = np.frombuffer(self._take(rows * self._width * _FLOAT_BYTES), "<f4").reshape(rows, self._width)
        if not (np.abs(values) <= LARGEST_VALUE).all():  # NaN is not smaller either
            raise self._damaged()
        return values

    def _count(self, most: int) -> int:
        [count] = _COUNT.unpack(self._take(_COUNT.size))
        if count > most:
            raise self._damaged()
        return int(count)

    def _take(self, size: int) -> bytes:
        """The next bytes; nothing is asked of the file that it does not have."""
        data = self._file.read(size) if size <= self._left else b""
        if len(data) != size:
            raise self._damaged()
        self._left -= size
        return data

    def _damaged(self) -> VoiceRefused:
        sentence = f"{self._name} is damaged or cut off: download or make it again, or import the voice without it."
        return VoiceRefused("index_damaged", sentence)

    def _foreign(self) -> VoiceRefused:
        sentence = f"{self._name} is not an index as RVC makes it (faiss, IVF with flat lists): {_ADVICE}"
        return VoiceRefused("index_format", sentence)

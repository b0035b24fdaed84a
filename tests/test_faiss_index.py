"""Retrieval indexes in faiss' own layout: read to the last number, or refused with a sentence."""

import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from models.convert.faiss_index import MAX_BYTES, MAX_VECTORS, store_index
from models.voice_index import MOST_IN_A_LIST, index_files, open_index
from models.voice_refusal import VoiceRefused
from tests.faiss_writer import Recordings, header, index_bytes, recordings

WIDTH = 256
FAISS_SHA256 = "b1699d47c6036750babfb5d9700073de3f7e58a50a2ac89354b8b26a374b5d33"
FAISS_SPARSE_SHA256 = "5fd168b3810651a6a7b833062a74c5b182ac3aeb7411542da2a1d74f9d046f98"


def store(folder: Path, data: bytes, width: int = WIDTH) -> int:
    """The file and where it is stored."""
    (folder / "voice").mkdir(exist_ok=True)
    path = folder / "added_IVF6_Flat_nprobe_1_grace_v1.index"
    path.write_bytes(data)
    return store_index(path, folder / "voice", width=width)


def in_order(made: Recordings) -> np.ndarray:
    """The vectors list by list."""
    return made.vectors[np.concatenate(made.lists)]


def test_the_files_of_these_tests_are_those_that_faiss_writes() -> None:
    """Digests of what faiss 1.15.1 wrote of the same numbers, with full and with mostly empty lists."""
    assert hashlib.sha256(index_bytes(recordings())).hexdigest() == FAISS_SHA256
    sparse = index_bytes(recordings(WIDTH, 9, 3), sparse=True)
    assert hashlib.sha256(sparse).hexdigest() == FAISS_SPARSE_SHA256


@pytest.mark.parametrize(("lists", "count", "sparse"), [(6, 200, False), (9, 3, True), (2, 5000, False)])
def test_every_vector_is_kept_in_its_list(tmp_path: Path, lists: int, count: int, sparse: bool) -> None:
    """Also over more than one block; a map of the vectors, where faiss was asked for one, changes nothing."""
    made = recordings(WIDTH, lists, count)
    for mapped in (False, True):
        assert store(tmp_path, index_bytes(made, sparse=sparse, mapped=mapped)) == count
        files = index_files(tmp_path / "voice")
        vectors, starts = np.load(files.vectors), np.load(files.starts)
        assert vectors.dtype == np.float16
        assert np.array_equal(vectors, in_order(made))
        assert list(np.diff(starts)) == [len(each) for each in made.lists]
        assert np.array_equal(np.load(files.centroids), made.centroids)
        assert open_index(tmp_path / "voice", width=WIDTH) is not None


def test_a_trained_index_is_told_from_an_added_one(tmp_path: Path) -> None:
    """RVC writes both; only the one named added_* holds anything."""
    made = recordings()
    empty = Recordings(centroids=made.centroids, vectors=made.vectors[:0], lists=[np.zeros(0, np.int64)] * 6)
    with pytest.raises(VoiceRefused, match=r"added_\*\.$") as caught:
        store(tmp_path, index_bytes(empty, sparse=True))
    assert caught.value.code == "index_empty"


def test_an_index_of_another_version_is_refused(tmp_path: Path) -> None:
    """256 numbers for v1, 768 for v2."""
    with pytest.raises(VoiceRefused, match="256 numbers and this voice has 768") as caught:
        store(tmp_path, index_bytes(recordings()), width=768)
    assert caught.value.code == "index_width"


@pytest.mark.parametrize(
    ("at", "patch", "code"),
    [
        (0, b"IxFI", "index_format"),
        (0, b"\x80\x04cos", "index_format"),
        (8, struct.pack("<q", MAX_VECTORS + 1), "index_size"),
        (8, struct.pack("<q", -1), "index_size"),
        (8, struct.pack("<q", 201), "index_damaged"),
        (33, struct.pack("<i", 0), "index_format"),
        (32, b"\0", "index_format"),
        (37, struct.pack("<Q", 0), "index_damaged"),
        (37, struct.pack("<Q", 10 << 30), "index_damaged"),
        (37, struct.pack("<Q", 7), "index_damaged"),
        (53, b"IxPQ", "index_format"),
        (90, struct.pack("<Q", 1 << 60), "index_damaged"),
        (98, struct.pack("<f", np.nan), "index_damaged"),
        (98, struct.pack("<f", 1e9), "index_damaged"),
        (98 + 6144, b"\2", "index_format"),
        (98 + 6144 + 9, b"ilod", "index_format"),
        (98 + 6144 + 21, struct.pack("<Q", 4), "index_damaged"),
        (98 + 6144 + 29, b"sprs", "index_damaged"),
        (98 + 6144 + 41, struct.pack("<q", -34), "index_damaged"),
        (98 + 6144 + 41, struct.pack("<q", 1 << 40), "index_damaged"),
        (98 + 6144 + 41 + 48, struct.pack("<f", np.inf), "index_damaged"),
    ],
)
def test_a_number_that_cannot_be_is_refused(tmp_path: Path, at: int, patch: bytes, code: str) -> None:
    """Every field of the layout; 10 GB of lists as well. Nothing of that size is made, and no file stays."""
    data = bytearray(index_bytes(recordings()))
    data[at : at + len(patch)] = patch
    with pytest.raises(VoiceRefused, match=r"\.$") as caught:
        store(tmp_path, bytes(data))
    assert caught.value.code == code


@pytest.mark.parametrize("kept", [0, 3, 30, 60, 5000, 6400, 100_000, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, kept: int) -> None:
    """Wherever it ends; and so is one that goes on."""
    data = index_bytes(recordings())
    for broken in (data[:kept], data + b"\0"):
        with pytest.raises(VoiceRefused, match=r"\.$") as caught:
            store(tmp_path, broken)
        assert caught.value.code == "index_damaged"


def test_a_list_that_could_not_be_searched_in_time_is_refused(tmp_path: Path) -> None:
    """A hop would search all of it: one vector too many, and the most there may be."""
    with pytest.raises(VoiceRefused, match="4097 vectors in one list") as caught:
        store(tmp_path, index_bytes(recordings(WIDTH, 1, MOST_IN_A_LIST + 1)))
    assert caught.value.code == "index_size"
    assert store(tmp_path, index_bytes(recordings(WIDTH, 1, MOST_IN_A_LIST))) == MOST_IN_A_LIST


def test_lists_that_are_named_twice_are_refused(tmp_path: Path) -> None:
    """Of the pairs that stand for mostly empty lists."""
    data = index_bytes(recordings(WIDTH, 9, 3), sparse=True)
    at = data.index(b"sprs") + 12
    for patch in (struct.pack("<4q", 0, 1, 0, 2), struct.pack("<2q", 9, 1), struct.pack("<2q", -1, 1)):
        with pytest.raises(VoiceRefused) as caught:
            store(tmp_path, data[:at] + patch + data[at + len(patch) :])
        assert caught.value.code == "index_damaged"


def test_a_file_of_ten_gigabytes_is_not_read(tmp_path: Path) -> None:
    """Its header may say what it likes."""
    path = tmp_path / "added.index"
    path.write_bytes(header(b"IwFl", WIDTH, 10_000_000))
    os.truncate(path, 10 << 30)
    with pytest.raises(VoiceRefused, match=f"larger than {MAX_BYTES >> 20} MB") as caught:
        store_index(path, tmp_path, width=WIDTH)
    assert caught.value.code == "index_size"


@pytest.mark.parametrize("name", ["nowhere.index", "."])
def test_what_is_no_file_is_a_sentence(tmp_path: Path, name: str) -> None:
    """A path that is not there, and a folder."""
    with pytest.raises(VoiceRefused, match="is no file") as caught:
        store_index(tmp_path / name, tmp_path, width=WIDTH)
    assert caught.value.code == "index_unreadable"

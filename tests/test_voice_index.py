"""Retrieval: the neighbours that faiss finds, RVC's mixture of them, and what protects breath and "s"."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.voice_index import MOST_IN_A_LIST, IndexShape, VoiceIndex, blend, index_files, open_index
from models.voice_refusal import VoiceRefused
from tests.faiss_writer import Recordings, recordings

Array = NDArray[np.float32]

# What faiss 1.15.1 finds for some frames near the recordings, with nprobe 1 as RVC sets it: vectors and d ** 2.
FAISS: tuple[tuple[int, list[int], list[float]], ...] = (
    (
        3,
        [3, 57, 117, 33, 153, 183, 15, 135],
        [8.9475, 1244.1849, 1263.3669, 1322.7842, 1347.4935, 1367.0240, 1372.2395, 1378.9084],
    ),
    (
        50,
        [50, 92, 86, 44, 2, 140, 20, 152],
        [181.4812, 1204.0654, 1242.2819, 1309.9796, 1333.7073, 1363.5786, 1408.6648, 1409.3857],
    ),
    (
        77,
        [77, 191, 101, 131, 119, 95, 29, 197],
        [202.8508, 1468.2461, 1544.6343, 1572.0234, 1584.0649, 1594.5514, 1605.4116, 1619.1204],
    ),
)


def near(made: Recordings, number: int) -> Array:
    """A frame by one of the recorded ones."""
    return np.asarray(made.vectors[number] * 0.9 + 0.1 * made.centroids[number % 6], np.float32)


def index(made: Recordings) -> VoiceIndex:
    """In memory."""
    starts = np.concatenate([[0], np.cumsum([len(each) for each in made.lists])])
    return VoiceIndex(made.vectors[np.concatenate(made.lists)].astype(np.float16), made.centroids, starts)


def test_the_mixture_is_that_of_faiss_and_rvc() -> None:
    """Its eight neighbours of one list, by the squares of the inverse of what faiss returns."""
    made = recordings()
    found = index(made).retrieve(np.stack([near(made, number) for number, _, _ in FAISS]))
    for row, (_, neighbours, squared) in zip(found, FAISS, strict=True):
        weights = np.square(1 / np.array(squared))
        assert row == pytest.approx((weights / weights.sum()) @ made.vectors[neighbours], abs=2e-5)


def test_an_answer_does_not_depend_on_what_is_asked_beside_it() -> None:
    """To the last bit: a hop has two frames or ten."""
    made = recordings()
    frames = np.stack([near(made, number) for number in range(40)])
    whole = index(made).retrieve(frames)
    assert np.array_equal(whole, np.concatenate([index(made).retrieve(frames[i : i + 2]) for i in range(0, 40, 2)]))


class Counted(np.ndarray[Any, Any]):
    """Vectors that count how often some of them are read."""

    reads = 0

    def __getitem__(self, key: Any) -> Any:
        """As ever; from somewhere to somewhere is a list, the first few are of what was found in it."""
        if isinstance(key, slice) and key.start is not None:
            Counted.reads += 1
        return super().__getitem__(key)


def test_a_list_is_read_once_a_hop_however_many_frames_are_near_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """To make 4096 halves of 768 numbers whole takes twice as long as to compare them with a frame."""
    monkeypatch.setattr(Counted, "reads", 0)
    made = recordings()
    starts = np.concatenate([[0], np.cumsum([len(each) for each in made.lists])])
    vectors = made.vectors[np.concatenate(made.lists)].astype(np.float16).view(Counted)
    frames = np.stack([near(made, 6 * number + first) for number in range(5) for first in (0, 1)])
    found = VoiceIndex(vectors, made.centroids, starts).retrieve(frames)
    assert Counted.reads == 2
    assert np.array_equal(found, index(made).retrieve(frames))


def test_a_recorded_frame_comes_back_as_itself() -> None:
    """A distance of nothing is no division by nothing."""
    made = recordings()
    assert index(made).retrieve(made.vectors[:3]) == pytest.approx(made.vectors[:3], abs=1e-6)


def test_lists_with_few_vectors_give_what_they_have() -> None:
    """Three where there are three; the frame itself where there is none."""
    made = recordings(256, 9, 3)
    frame = made.centroids[2] + 0.25
    assert len(made.lists[2]) == 0
    assert np.array_equal(index(made).retrieve(frame[None])[0], frame)
    alone = made.vectors[made.lists[0]][0]
    assert index(made).retrieve(made.centroids[:1] + 0.5)[0] == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize(
    ("rate", "protect", "voiced", "unvoiced"),
    [(0.0, 0.5, 1.0, 1.0), (1.0, 0.5, 3.0, 3.0), (0.5, 0.5, 2.0, 2.0), (1.0, 0.0, 3.0, 1.0), (0.5, 0.25, 2.0, 1.25)],
)
def test_unvoiced_frames_keep_more_of_what_was_said(
    rate: float, protect: float, voiced: float, unvoiced: float
) -> None:
    """Only below a protection of 0.5; voiced ones get all of the index rate."""
    said, retrieved = np.ones((4, 3), np.float32), np.full((4, 3), 3, np.float32)
    blended = blend(said, retrieved, np.array([110.0, 0.0, 0.5, 220.0]), rate, protect)
    assert blended.dtype == np.float32
    assert blended[:, 0] == pytest.approx([voiced, unvoiced, unvoiced, voiced])


def written(folder: Path) -> Recordings:
    """An index on the disk."""
    made = recordings()
    starts = np.concatenate([[0], np.cumsum([len(each) for each in made.lists])])
    shape = IndexShape(vectors=len(made.vectors), lists=6, width=256)
    index_files(folder).write(shape, made.centroids, starts, iter([made.vectors[np.concatenate(made.lists)]]))
    return made


def test_an_index_is_found_again_on_the_disk(tmp_path: Path) -> None:
    """And a voice without one has none."""
    assert open_index(tmp_path, width=256) is None
    made = written(tmp_path)
    found = open_index(tmp_path, width=256)
    assert found is not None
    frames = made.vectors[:5] + 0.5
    assert np.array_equal(found.retrieve(frames), index(made).retrieve(frames))


@pytest.mark.parametrize("broken", ["vectors", "centroids", "starts"])
def test_arrays_that_are_no_index_are_refused(tmp_path: Path, broken: str) -> None:
    """A pickle, another kind of number, another size."""
    for value in (np.array([{}], dtype=object), np.zeros((6, 256), np.float64), np.zeros((2, 3), np.float16)):
        written(tmp_path)
        np.save(getattr(index_files(tmp_path), broken), value, allow_pickle=True)
        with pytest.raises(VoiceRefused) as caught:
            open_index(tmp_path, width=256)
        assert caught.value.code == "voice_damaged"
    written(tmp_path)
    with pytest.raises(VoiceRefused):
        open_index(tmp_path, width=768)


@pytest.mark.parametrize("more", [0, 1])
def test_a_list_that_could_not_be_searched_in_time_is_not_opened(tmp_path: Path, more: int) -> None:
    """Of an older import, or a folder made by hand; the most there may be is opened."""
    count = MOST_IN_A_LIST + more
    shape, blocks = IndexShape(vectors=count, lists=2, width=4), iter([np.zeros((count, 4), np.float32)])
    index_files(tmp_path).write(shape, np.zeros((2, 4), np.float32), np.array([0, 0, count]), blocks)
    if not more:
        assert open_index(tmp_path, width=4) is not None
        return
    with pytest.raises(VoiceRefused, match=r"more than 4096 vectors in one list.*without one\.$") as caught:
        open_index(tmp_path, width=4)
    assert caught.value.code == "voice_damaged"

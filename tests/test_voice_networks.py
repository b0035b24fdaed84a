"""The networks that voices need, as they lie in the store."""

from pathlib import Path

import pytest

from models.voice_networks import (
    CONTENT_SAMPLES,
    GRAPH_NAME,
    HALF_NAME,
    NETWORKS,
    PITCH,
    SOURCE_NAME,
    NetworkSource,
    VoiceNetworkStore,
    spoken_picture,
    write_source,
)
from models.voice_precision import HalfGraph
from models.voice_refusal import VoiceRefused


def test_windows_are_on_the_grid_of_the_networks() -> None:
    """Fifty frames of 20 ms; a multiple of 32 frames of 10 ms."""
    assert (CONTENT_SAMPLES - 400) // 320 + 1 == 50
    assert PITCH.given_shape[2] % 32 == 0
    assert len({network.name for network in NETWORKS}) == 3


def test_a_graph_is_verified_before_it_is_used(tmp_path: Path) -> None:
    """Absent, present, changed."""
    store = VoiceNetworkStore(tmp_path)
    with pytest.raises(VoiceRefused) as caught:
        store.graph(PITCH)
    assert caught.value.code == "voice_unknown"
    with store.folders.adding(PITCH.name) as folder:
        (folder / GRAPH_NAME).write_bytes(b"graph")
    assert store.ready() == ("rmvpe",)
    assert store.graph(PITCH).read_bytes() == b"graph"
    store.graph(PITCH).write_bytes(b"graqh")
    with pytest.raises(VoiceRefused) as caught:
        store.graph(PITCH)
    assert caught.value.code == "voice_damaged"


def test_a_network_says_what_it_was_made_of(tmp_path: Path) -> None:
    """File and hash; in half precision only where that is stored."""
    store = VoiceNetworkStore(tmp_path)
    source = NetworkSource(file="rmvpe.pt", sha256="ab", half=HalfGraph(cosine=0.9999, stored=True))
    with store.folders.adding(PITCH.name) as folder:
        (folder / GRAPH_NAME).write_bytes(b"graph")
        (folder / HALF_NAME).write_bytes(b"half")
        write_source(folder, source)
    assert store.source(PITCH) == source
    assert store.graph(PITCH).name == GRAPH_NAME
    assert store.graph(PITCH, half=True).name == HALF_NAME
    (tmp_path / PITCH.name / SOURCE_NAME).write_bytes(b"[]")
    with pytest.raises(VoiceRefused, match="prepare the network again"):
        store.source(PITCH)


def test_the_picture_of_a_voice_is_one_window_of_lively_mel() -> None:
    """Loud and quiet, no flat field."""
    picture = spoken_picture()
    assert picture.shape == PITCH.given_shape
    assert picture.dtype == "float32"
    assert picture.std() > 1.5

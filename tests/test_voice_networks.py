"""The networks that voices need, as they lie in the store."""

from pathlib import Path

import pytest

from models.voice_networks import CONTENT_SAMPLES, GRAPH_NAME, NETWORKS, PITCH, VoiceNetworkStore
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

"""Both engines of a lane as one: what is ready, what loads, what is loaded again."""

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from models.engines import VoiceSettings
from models.runtime import OnnxGraph, Placement
from models.voice_rack import LOADING_NICE, VoiceRack
from models.voice_refusal import VoiceRefused
from tests.onnx_writer import affine_picture
from tests.scripted_voices import EmbeddedVoices, ScriptedImports, Unloadable

EIGHTH = VoiceSettings(preset="rvc:eighth")


def loaded(rack: VoiceRack, settings: VoiceSettings) -> None:
    """Wait until it is."""
    until_s = time.monotonic() + 120
    while not rack.is_ready(settings):
        assert time.monotonic() < until_s
        time.sleep(0.001)


def test_a_voice_is_loaded_once_in_a_thread_below_all_hops() -> None:
    """Asking never waits; the second call finds it there."""
    go = threading.Event()
    imports = ScriptedImports(go.wait)
    rack = VoiceRack(EmbeddedVoices(), imports)
    assert not rack.is_ready(EIGHTH)
    assert not rack.is_ready(EIGHTH)
    go.set()
    loaded(rack, EIGHTH)
    assert rack.is_ready(EIGHTH)
    assert imports.loaded == ["eighth"]


def test_each_engine_opens_its_own_voices() -> None:
    """By the name in the settings; a clip is measured by the embedded one."""
    rack = VoiceRack(EmbeddedVoices(), ScriptedImports())
    assert (rack.name, rack.extras) == ("embedded", ("rvc",))
    assert [rack.engine_of(each) for each in (VoiceSettings(), EIGHTH)] == ["embedded", "rvc"]
    for settings, factor in ((VoiceSettings(), 0.5), (EIGHTH, 0.125)):
        stream = rack.open(sample_rate_hz=16_000, hop_ms=40, settings=settings)
        heard = [stream.convert(np.ones(640, np.float32)) for _ in range(4)]
        assert heard[-1][-1] == factor
    assert rack.measure(np.ones(9, np.float32), 16_000).values == {}


def test_what_cannot_be_loaded_is_told_and_tried_again() -> None:
    """Whoever asks next may find it mended."""
    imports = ScriptedImports()
    rack = VoiceRack(EmbeddedVoices(), imports)
    refused = VoiceSettings(preset="rvc:refused")
    for _ in range(2):
        with pytest.raises(Unloadable):
            loaded(rack, refused)


def test_a_voice_that_could_never_keep_up_is_refused_before_it_holds_a_lane_up() -> None:
    """It takes a CPU for as long as it speaks: found out beside the hops, as it is loaded; nothing of it stays."""
    imports = ScriptedImports()
    rack = VoiceRack(EmbeddedVoices(), imports)
    with pytest.raises(VoiceRefused, match="too slow") as refused:
        loaded(rack, VoiceSettings(preset="rvc:hopeless"))
    assert refused.value.code == "voice_slow"
    assert imports.held == set()


def test_a_voice_is_tried_out_with_all_of_its_index() -> None:
    """Whoever wears it may ask for that; the search can take longer than the rest."""
    imports = ScriptedImports()
    loaded(VoiceRack(EmbeddedVoices(), imports), EIGHTH)
    assert [stream.opened_with.index_rate for stream in imports.opened] == [1.0]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_what_speaks_later_has_the_priority_of_hops_and_the_trial_has_less(tmp_path: Path) -> None:
    """ONNX Runtime makes threads where a network is opened; they inherit, and nobody may raise them again."""
    path, graphs = tmp_path / "graph.onnx", list[OnnxGraph]()
    path.write_bytes(affine_picture(np.ones((1, 3, 1, 1), np.float32), np.zeros((1, 3, 1, 1), np.float32)))
    imports = ScriptedImports(lambda: graphs.append(OnnxGraph(path, placement=Placement(threads=3))))
    rack, before = VoiceRack(EmbeddedVoices(), imports), nice_by_thread()
    loaded(rack, EIGHTH)
    new = {thread: nice for thread, nice in nice_by_thread().items() if thread not in before}
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert new.pop(imports.trial_thread) == min(19, own + LOADING_NICE)
    assert len(new) >= 3  # two of the network's beside whoever runs it, and the one that loads
    assert set(new.values()) == {own}


def nice_by_thread() -> dict[int, int]:
    """Of this process."""
    threads = [int(name) for name in os.listdir("/proc/self/task")]
    return {thread: os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}


def test_a_voice_that_its_engine_dropped_is_loaded_again() -> None:
    """Only a few stay that nobody wears; a hop must not wait for one."""
    imports = ScriptedImports()
    rack = VoiceRack(EmbeddedVoices(), imports)
    loaded(rack, EIGHTH)
    imports.forget("eighth")
    assert not rack.is_ready(EIGHTH)
    loaded(rack, EIGHTH)
    assert imports.loaded == ["eighth", "eighth"]


def test_a_voice_that_was_removed_is_dropped_with_the_next_load() -> None:
    """Nobody asks for it any more, and it would stay for the life of the worker."""
    stored = {"eighth", "tenth"}

    def edition(voice_id: str) -> str:
        if voice_id not in stored:
            raise VoiceRefused("voice_unknown", "There is no such voice.")
        return "1"

    imports = ScriptedImports()
    rack = VoiceRack(EmbeddedVoices(), imports, edition=edition)
    loaded(rack, EIGHTH)
    stored.remove("eighth")
    loaded(rack, VoiceSettings(preset="rvc:tenth"))
    assert imports.held == {"tenth"}


def test_a_voice_that_is_another_now_is_loaded_afresh_and_one_that_is_gone_is_refused() -> None:
    """What lies on the disk decides, not what is in memory."""
    editions = {"eighth": "1"}

    def edition(voice_id: str) -> str:
        if voice_id not in editions:
            raise VoiceRefused("voice_unknown", "There is no such voice.")
        return editions[voice_id]

    imports = ScriptedImports()
    rack = VoiceRack(EmbeddedVoices(), imports, edition=edition)
    loaded(rack, EIGHTH)
    editions["eighth"] = "2"
    loaded(rack, EIGHTH)
    assert imports.loaded == ["eighth", "eighth"]
    del editions["eighth"]
    with pytest.raises(VoiceRefused):
        rack.is_ready(EIGHTH)


def test_a_lane_without_imported_voices_has_none() -> None:
    """It says so, and opens the embedded ones."""
    rack = VoiceRack(EmbeddedVoices(), why="none")
    assert (rack.extras, rack.why) == ((), "none")
    assert rack.is_ready(VoiceSettings())
    with pytest.raises(ValueError, match="no imported"):
        rack.is_ready(EIGHTH)
    with pytest.raises(ValueError, match="no imported"):
        rack.open(sample_rate_hz=16_000, hop_ms=40, settings=EIGHTH)

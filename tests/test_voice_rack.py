"""Both engines of a lane as one: what is ready, what loads, what is loaded again."""

import threading
import time

import numpy as np
import pytest

from models.engines import VoiceSettings
from models.voice_rack import VoiceRack
from models.voice_refusal import VoiceRefused
from tests.scripted_voices import EmbeddedVoices, ScriptedImports, Unloadable

EIGHTH = VoiceSettings(preset="rvc:eighth")


def loaded(rack: VoiceRack, settings: VoiceSettings) -> None:
    """Wait until it is."""
    until_s = time.monotonic() + 20
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
    """It takes a CPU for as long as it speaks: found out beside the hops, in the thread that loads it."""
    rack = VoiceRack(EmbeddedVoices(), ScriptedImports())
    with pytest.raises(VoiceRefused, match="too slow") as refused:
        loaded(rack, VoiceSettings(preset="rvc:hopeless"))
    assert refused.value.code == "voice_slow"


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

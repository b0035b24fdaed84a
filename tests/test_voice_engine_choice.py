"""Which voice engine a machine gets, with pyworld and without."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.engines import VoiceSettings
from models.runtime import NetworkError
from models.voice_engine_choice import open_voice_engine
from models.voice_refusal import VoiceRefused
from tests import imported_lane

ROOT = Path(__file__).resolve().parent.parent

WITHOUT_PYWORLD = """
import sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("pyworld", "scipy"):
            raise {error}(name)

sys.meta_path.insert(0, Blocked())
"""

CALL = """
import numpy as np
from mirage_rtc.__main__ import ENGINES, _voice
from mirage_rtc.config import load
from mirage_rtc.lane_worker import _start
from mirage_rtc.voice_pipeline import ConvertHop, OpenVoice
from models.engines import VoiceSettings

ready, pipeline = _start(_voice(load(None, {})))
name = ready.engine_name
opening = OpenVoice(call_id="a", sample_rate_hz=48000, hop_ms=40, settings=VoiceSettings())
delay_ms = pipeline.handle(opening)
hop = 0.1 * np.random.default_rng(1).standard_normal(1920).astype(np.float32)
parts = [pipeline.handle(ConvertHop(call_id="a", samples=hop)).samples for _ in range(5)]
assert all(part.shape == (1920,) for part in parts)
assert parts[-1].any()
print(name, "pyworld" in sys.modules, ENGINES[name])
"""


def run(program: str) -> str:
    """What a fresh interpreter in the repository says."""
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_with_pyworld_it_is_world() -> None:
    """The better engine, where it runs."""
    assert open_voice_engine().name == "world"


@pytest.mark.parametrize("error", ["ModuleNotFoundError", "ImportError", "OSError"])
def test_without_pyworld_the_voice_lane_converts_with_psola(error: str) -> None:
    """Missing or broken, pyworld is not needed anywhere on the way of a hop, nor is scipy."""
    assert run(WITHOUT_PYWORLD.replace("{error}", error) + CALL) == (
        "psola False embedded TD-PSOLA on the CPU (install pyworld-prebuilt for the better one)"
    )


def test_imported_voices_are_offered_where_they_are_wanted_and_can_run(tmp_path: Path) -> None:
    """On this CPU when the configuration says neural; what keeps them away is told, with what mends it."""
    pytest.importorskip("onnxruntime")
    data_dir = str(tmp_path)
    said = [open_voice_engine("auto", data_dir)]
    voices = imported_lane.store(tmp_path, "grace")
    said += [open_voice_engine(choice, data_dir) for choice in ("embedded", "auto", "neural")]
    (tmp_path / "voices" / "grace" / "voice.json").write_text("{}")
    said.append(open_voice_engine("neural", data_dir))

    assert [rack.extras for rack in said] == [(), (), (), ("rvc",), ()]
    for rack, words in zip(said, ("voices import", "asks for", "no GPU", "on cpu", "voices list"), strict=True):
        assert words in rack.why
    assert {rack.name for rack in said} == {"world"}
    assert voices.offered() == {}


def test_a_gpu_is_enough_for_auto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ONNX Runtime has decides; where it is not installed, that is said."""
    imported_lane.store(tmp_path, "grace")
    monkeypatch.setattr("models.runtime.obstacle", lambda provider: "")
    rack = open_voice_engine("auto", str(tmp_path))
    assert rack.extras == ("rvc",)
    assert "imported voices on cuda" in rack.why
    monkeypatch.undo()
    monkeypatch.setattr("models.runtime.available", lambda provider: False)
    rack = open_voice_engine("neural", str(tmp_path))
    assert rack.extras == ()
    assert "not installed" in rack.why


def test_a_gpu_s_runtime_without_a_gpu_offers_no_voice_that_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime lists CUDA wherever it was built with it: neural takes the CPU, and what is missing is told."""
    imported_lane.store(tmp_path, "grace")
    monkeypatch.setattr("models.runtime.available", lambda provider: True)
    monkeypatch.setattr("models.runtime.obstacle", lambda provider: "cuda lacks libcudnn.so.9.")
    auto, neural = (open_voice_engine(choice, str(tmp_path)) for choice in ("auto", "neural"))
    assert (auto.extras, neural.extras) == ((), ("rvc",))
    assert "imported voices on cpu" in neural.why
    for rack in (auto, neural):
        assert rack.why.endswith(" cuda lacks libcudnn.so.9.")


def test_a_voice_whose_graphs_are_of_no_use_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    """With the sentence of whoever refused, and the embedded voice speaks on."""
    pytest.importorskip("onnxruntime")
    imported_lane.store(tmp_path, "grace")
    rack = open_voice_engine("neural", str(tmp_path))

    def load() -> None:
        while not rack.is_ready(VoiceSettings(preset="rvc:grace")):
            time.sleep(0.001)

    with pytest.raises((VoiceRefused, NetworkError)) as refused:
        load()
    assert str(refused.value).endswith(".")

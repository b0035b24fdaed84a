"""Which voice engine a machine gets, with pyworld and without."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.voice_engine_choice import open_voice_engine

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
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
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

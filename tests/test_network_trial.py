"""The first run of a stranger's network: bounded, and in a process that may die of it."""

from pathlib import Path

import pytest

from models import network_trial
from models.voice_networks import PITCH
from tests.test_ready_network import pitchy


def test_a_good_network_has_no_fault(tmp_path: Path) -> None:
    """Loaded, run, looked at."""
    path = tmp_path / "good.onnx"
    path.write_bytes(pitchy())
    assert network_trial.fault(path, PITCH) == ""


def test_a_process_that_has_no_room_is_said_so(tmp_path: Path) -> None:
    """It dies or refuses; this one goes on."""
    path = tmp_path / "good.onnx"
    path.write_bytes(pitchy())
    assert network_trial.fault(path, PITCH, memory_bytes=64 << 20) != ""


def test_what_does_not_end_is_ended(tmp_path: Path) -> None:
    """At the time it is given; none is less than any start takes."""
    path = tmp_path / "good.onnx"
    path.write_bytes(pitchy())
    assert "does not end" in network_trial.fault(path, PITCH, wall_s=0.0)


@pytest.mark.parametrize("content", [b"", b"no graph"])
def test_what_does_not_load_is_a_fault(tmp_path: Path, content: bytes) -> None:
    """And no traceback."""
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    assert "ONNX Runtime can run" in network_trial.fault(path, PITCH)

"""The probe with real PyAV: x264 works everywhere, an encoder without its device or library does not."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from mirage_rtc import encoder_probe
from mirage_rtc.encoder_probe import Choice, choose, fault_of
from mirage_rtc.h264_encoder import NVENC, SOFTWARE


def test_x264_encodes_here() -> None:
    """Three pictures come out as they went in."""
    assert fault_of(SOFTWARE) is None


def test_an_encoder_that_is_not_built_in_has_a_fault_with_a_name() -> None:
    """PyAV's error becomes a reason, not an exception."""
    assert "UnknownCodec" in (fault_of("h264_nonsense") or "")


def test_the_probe_says_nothing_but_its_answer() -> None:
    """Neither libav nor a driver's library writes to the terminal, whether or not this host has NVENC."""
    script = "from mirage_rtc.encoder_probe import choose; print(choose('auto').codec)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True)

    assert done.stdout.strip() in (SOFTWARE, NVENC)
    assert done.stderr == ""


def test_the_choice_follows_the_probe() -> None:
    """auto and nvenc take NVENC only where it encodes; x264 asks nothing."""
    asked: list[str] = []

    def works(codec: str) -> None:
        asked.append(codec)

    assert choose("x264", works) == Choice(codec=SOFTWARE, why="as configured")
    assert asked == []
    assert choose("auto", works).codec == choose("nvenc", works).codec == NVENC
    assert asked == [NVENC, NVENC]
    missing = choose("nvenc", lambda _: "no device")
    assert missing.codec == SOFTWARE
    assert missing.sentence == "H.264 by x264 (NVENC: no device)"


@pytest.fixture(name="held")
def _held() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_driver_that_hangs_is_given_up(held: threading.Event) -> None:
    """The server starts without it."""

    def hang(codec: str) -> None:
        held.wait(30)

    assert fault_of(NVENC, within_s=0.05, attempt=hang) == "no answer within 0.05 s"


def test_pictures_that_do_not_decode_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that makes bytes, but not these pictures, is not used."""
    monkeypatch.setattr(encoder_probe, "_SHADES", (60, 120, 180, 240))
    monkeypatch.setattr(encoder_probe, "_shades", lambda frames: [0.0 for _ in frames])

    assert "does not decode" in (fault_of(SOFTWARE) or "")

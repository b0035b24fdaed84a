"""Log lines: fields after the message, libraries quiet, no caller's address."""

import logging
from collections.abc import Iterator

import pytest

from mirage_rtc.log_setup import LIBRARIES, configure


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    """Logging is the process's own: put back what a test changes."""
    root, server = logging.getLogger(), logging.getLogger("aiohttp.server")
    before = (root.level, root.handlers[:], server.filters[:])
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    yield
    root.level, root.handlers[:], server.filters[:] = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_structured_fields_follow_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    """`extra` is shown as name=value."""
    configure("info")
    logging.getLogger("mirage_rtc.x").info("lane restarted", extra={"lane": "face", "epoch": 2})
    assert capsys.readouterr().err.rstrip().endswith("mirage_rtc.x  lane restarted  epoch=2 lane=face")


def test_the_level_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing below it is written."""
    configure("warning")
    logging.getLogger("mirage_rtc.x").info("quiet")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("library", ["aioice.ice", "aiortc.rtcrtpsender", "aiohttp.web"])
def test_libraries_never_tell_of_addresses_even_at_debug(library: str, capsys: pytest.CaptureFixture[str]) -> None:
    """aioice writes every candidate at the level of information."""
    configure("debug")
    logging.getLogger(library).info("candidate 203.0.113.7")
    assert capsys.readouterr().err == ""


def test_aiohttp_s_error_line_loses_the_caller_s_address(capsys: pytest.CaptureFixture[str]) -> None:
    """The line itself and its traceback stay."""
    configure("info")
    logging.getLogger("aiohttp.server").error("Error handling request from %s", "203.0.113.7")
    shown = capsys.readouterr().err
    assert "Error handling request" in shown
    assert "203.0.113.7" not in shown

"""The audit log: events by line, nothing personal, never in the way of a call."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirage_rtc.audit import AuditLog

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_an_event_is_one_line_with_its_time(tmp_path: Path) -> None:
    """Fields follow the event's name; the file is private."""
    path = tmp_path / "audit.jsonl"
    with AuditLog(path, lambda: NOON) as log:
        log.record("swap_in", session_id="s1", identity_id="mask:porcelain")
        log.record("passthrough", session_id="s1", face=True, voice=False)
    first, second = map(json.loads, path.read_text().splitlines())
    assert first == {
        "at": "2026-11-22T12:00:00.000+00:00",
        "event": "swap_in",
        "session_id": "s1",
        "identity_id": "mask:porcelain",
    }
    assert (second["event"], second["face"], second["voice"]) == ("passthrough", True, False)
    assert path.stat().st_mode & 0o777 == 0o600


def test_personal_fields_never_reach_the_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A field that is not known to be impersonal is left out, and its name (not its value) is logged."""
    path = tmp_path / "audit.jsonl"
    with AuditLog(path, lambda: NOON) as log:
        log.record("swap_in", session_id="s1", subject="ada@example.org", address="10.0.0.9")
    assert "ada" not in path.read_text()
    assert "10.0.0.9" not in path.read_text()
    assert "s1" in path.read_text()
    assert "ada" not in caplog.text
    assert caplog.records[0].levelno == logging.ERROR


def test_a_second_process_appends(tmp_path: Path) -> None:
    """Opening the log again keeps what it holds."""
    for _ in range(2):
        with AuditLog(tmp_path / "audit.jsonl") as log:
            log.record("start")
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 2


def test_a_full_disk_is_logged_once_and_ends_no_call(caplog: pytest.LogCaptureFixture) -> None:
    """/dev/full fails every write."""
    with AuditLog(Path("/dev/full")) as log:
        log.record("swap_in")
        log.record("swap_out")
    assert [record.message for record in caplog.records] == ["audit log cannot be written"]


def test_after_closing_events_are_dropped(tmp_path: Path) -> None:
    """A late task of a call that has ended raises nothing and writes nothing."""
    log = AuditLog(tmp_path / "audit.jsonl")
    log.close()
    log.close()
    log.record("swap_out")
    assert (tmp_path / "audit.jsonl").read_text() == ""

"""Acceptances of licences are written down once and found again."""

import json
from datetime import UTC, datetime
from pathlib import Path

from models.licence_record import LicenceRecord

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_an_acceptance_is_found_again_by_its_exact_name(tmp_path: Path) -> None:
    """By another process too: the file is what counts. Another licence stays unaccepted."""
    path = tmp_path / "store" / "accepted.jsonl"
    LicenceRecord(path).accept("S-Lab-1.0", ("codeformer.pth",), NOON)
    assert LicenceRecord(path).accepted("S-Lab-1.0")
    assert not LicenceRecord(path).accepted("S-Lab-1")
    assert json.loads(path.read_text()) == {
        "licence": "S-Lab-1.0",
        "models": ["codeformer.pth"],
        "accepted_at": "2026-11-22T12:00:00+00:00",
    }
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_record_is_only_ever_added_to(tmp_path: Path) -> None:
    """The second acceptance leaves the first line as it was."""
    record = LicenceRecord(tmp_path / "accepted.jsonl")
    record.accept("A", ("a",), NOON)
    record.accept("B", ("b",), NOON)
    assert record.accepted("A")
    assert record.accepted("B")


def test_nothing_is_accepted_by_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Half a line, foreign JSON, no file: no acceptance, and no crash."""
    path = tmp_path / "accepted.jsonl"
    assert not LicenceRecord(path).accepted("A")
    path.write_text('{"licence": "A"\n["A"]\n"A"\n')
    assert not LicenceRecord(path).accepted("A")

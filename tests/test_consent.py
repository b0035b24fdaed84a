"""Consent on record: what a receipt holds, what it never holds, and when none is given."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mirage_rtc.consent import ConsentForm, ConsentLedger
from mirage_rtc.errors import BadInput, Unavailable

KEY = b"k" * 32
PORTRAIT = b"\xff\xd8 the bytes of a portrait \xff\xd9"
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def form(**changes: Any) -> ConsentForm:
    """A complete form with `changes`."""
    fields = {"attested_by": "Ada", "subject_name": "Ada", "relation": "self", "purpose": "a call", "attests": True}
    return msgspec.convert(fields | changes, ConsentForm)


def ledger(folder: Path) -> ConsentLedger:
    """A ledger whose clock stands at noon."""
    return ConsentLedger(folder / "consent.jsonl", KEY, lambda: NOON)


def lines(folder: Path) -> list[dict[str, str]]:
    """What the file holds."""
    return [json.loads(line) for line in (folder / "consent.jsonl").read_text().splitlines()]


def test_a_receipt_says_who_for_whom_when_what_for_and_which_portrait(tmp_path: Path) -> None:
    """All fields of the form, the time, and the keyed HMAC of the uploaded bytes."""
    receipt = ledger(tmp_path).append(form(relation="permission", subject_name=" Grace "), PORTRAIT)
    [line] = lines(tmp_path)
    assert line == {
        "receipt_id": receipt.receipt_id,
        "kind": "granted",
        "at": "2026-11-22T12:00:00+00:00",
        "portrait_hmac": "hmac-sha256:" + hmac.new(KEY, PORTRAIT, hashlib.sha256).hexdigest(),
        "attested_by": "Ada",
        "subject_name": "Grace",
        "relation": "permission",
        "purpose": "a call",
    }


def test_the_portrait_is_not_in_the_file_and_its_plain_hash_neither(tmp_path: Path) -> None:
    """Who holds only the ledger cannot test a picture against it."""
    ledger(tmp_path).append(form(), PORTRAIT)
    content = (tmp_path / "consent.jsonl").read_bytes()
    assert PORTRAIT not in content
    assert hashlib.sha256(PORTRAIT).hexdigest().encode() not in content


def test_the_file_is_private_and_grows_by_whole_lines(tmp_path: Path) -> None:
    """0600, and a second ledger appends to the first one's file."""
    ledger(tmp_path).append(form(), PORTRAIT)
    ledger(tmp_path).append(form(), PORTRAIT)
    assert len({line["receipt_id"] for line in lines(tmp_path)}) == 2
    assert (tmp_path / "consent.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_revocation_names_the_receipt_and_repeats_nobody(tmp_path: Path) -> None:
    """Only the id, the kind and the time."""
    book = ledger(tmp_path)
    receipt = book.append(form(), PORTRAIT)
    book.revoke(receipt.receipt_id)
    assert lines(tmp_path)[1] == {
        "receipt_id": receipt.receipt_id,
        "kind": "revoked",
        "at": "2026-11-22T12:00:00+00:00",
    }


@pytest.mark.parametrize("change", [{"attests": False}, {"attested_by": "  "}, {"subject_name": " "}, {"purpose": " "}])
def test_an_incomplete_form_leaves_no_receipt(tmp_path: Path, change: dict[str, Any]) -> None:
    """An unticked box or a blank line is "consent_missing"."""
    with pytest.raises(BadInput) as caught:
        ledger(tmp_path).append(form(**change), PORTRAIT)
    assert caught.value.code == "consent_missing"
    assert not (tmp_path / "consent.jsonl").exists()


@pytest.mark.parametrize("change", [{"purpose": ""}, {"purpose": "x" * 201}, {"relation": "fan"}, {"extra": 1}])
def test_a_form_outside_its_bounds_does_not_parse(change: dict[str, Any]) -> None:
    """The wire's decoder refuses it before anything is read."""
    with pytest.raises(msgspec.ValidationError):
        form(**change)


def test_a_consent_that_cannot_be_written_is_no_consent(tmp_path: Path) -> None:
    """A disk that refuses means that the portrait is not used."""
    with pytest.raises(Unavailable) as caught:
        ledger(tmp_path / "gone").append(form(), PORTRAIT)
    assert caught.value.code == "receipt_unwritable"

"""Consent on record: who attests, for whom, when and what for, before a person's portrait may be worn.

A receipt never holds the portrait, only a keyed HMAC of it, so that the record can be matched with a picture and the
picture cannot be guessed from the record. Called by `mirage_rtc.identities`; the file is the operator's to keep.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from mirage_rtc.errors import BadInput, Unavailable
from models.voice_store import VoiceConsent

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
FILE_NAME = "consent.jsonl"


class ConsentForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a person fills in before a portrait is accepted. `attests` is the ticked box."""

    attested_by: Line
    subject_name: Line
    relation: Literal["self", "permission"]
    purpose: Line
    attests: bool


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the ledger. A revocation repeats only the receipt it ends."""

    receipt_id: str
    kind: Literal["granted", "revoked"]
    at: str
    portrait_hmac: str | None = None
    further_hmacs: tuple[str, ...] = ()
    attested_by: str | None = None
    subject_name: str | None = None
    relation: str | None = None
    purpose: str | None = None
    voice: str | None = None
    """The id of an imported voice, whose receipt this is."""


class ConsentLedger:
    """Appends receipts to one JSONL file (0600), each on the disk before its portrait can be used."""

    def __init__(self, path: Path, key: bytes, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path = path
        self._key = key
        self._now = now

    def append(self, form: ConsentForm, portrait: bytes, *further: bytes) -> Receipt:
        """Record a consent to the use of `portrait` (the uploaded file) and of `further` ones of the same person.

        Raises `BadInput` "consent_missing" without a ticked box or a name, `Unavailable` "receipt_unwritable".
        """
        _check(form)
        receipt = Receipt(
            receipt_id="cr_" + secrets.token_hex(8),
            kind="granted",
            at=self._timestamp(),
            portrait_hmac=self._digest(portrait),
            further_hmacs=tuple(map(self._digest, further)),
            attested_by=form.attested_by.strip(),
            subject_name=form.subject_name.strip(),
            relation=form.relation,
            purpose=form.purpose.strip(),
        )
        self._write(receipt)
        return receipt

    def note_voice(
        self, kind: Literal["granted", "revoked"], receipt_id: str, voice_id: str, given: VoiceConsent | None
    ) -> Receipt:
        """Record that a voice was imported or removed, with what its own record says (`models.voice_store`).

        Whole both times: the voice's folder, and the record in it, go with it. Raises `Unavailable`
        "receipt_unwritable".
        """
        said: dict[str, Any] = {
            name: getattr(given, name, None) for name in ("attested_by", "subject_name", "relation", "purpose")
        }
        receipt = Receipt(receipt_id=receipt_id, kind=kind, at=self._timestamp(), voice=voice_id, **said)
        self._write(receipt)
        return receipt

    def revoke(self, receipt_id: str) -> Receipt:
        """Record that the portrait of a receipt is no longer held. Raises `Unavailable` "receipt_unwritable"."""
        receipt = Receipt(receipt_id=receipt_id, kind="revoked", at=self._timestamp())
        self._write(receipt)
        return receipt

    def _digest(self, portrait: bytes) -> str:
        return "hmac-sha256:" + hmac.new(self._key, portrait, hashlib.sha256).hexdigest()

    def _timestamp(self) -> str:
        return self._now().astimezone(UTC).isoformat(timespec="seconds")

    def _write(self, receipt: Receipt) -> None:
        try:
            _append_line(self._path, msgspec.json.encode(receipt) + b"\n")
        except OSError:
            sentence = "The consent cannot be put on record, so nothing is done: the operator's disk is full."
            raise Unavailable("receipt_unwritable", sentence) from None


def _append_line(path: Path, line: bytes) -> None:
    """One write in append mode, then fsync: a crash leaves whole lines."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(form: ConsentForm) -> None:
    if not form.attests:
        raise BadInput("consent_missing", "Tick the box: without consent a portrait is not used.")
    if not all(line.strip() for line in (form.attested_by, form.subject_name, form.purpose)):
        raise BadInput("consent_missing", "Fill in who attests, whose face it is and what it is for.")

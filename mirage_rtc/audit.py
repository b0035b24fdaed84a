"""The audit log: every swap-in, swap-out, passthrough and change of identity, as JSON lines without personal data.

Called by sessions and the composition root. Fields outside `FIELDS` never reach the disk, so that a name, an address or
a token cannot get in by mistake.
"""

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import msgspec

logger = logging.getLogger(__name__)

FILE_NAME = "audit.jsonl"
FIELDS = frozenset(
    {
        "session_id",
        "identity_id",
        "receipt_id",
        "face",
        "voice",
        "visible",
        "engine",
        "state",
        "code",
        "preset",
        "calls",
        "references",
        "wears",
        "others",
    }
)
"""Random ids, switches and codes: nothing here says who somebody is."""

Value = str | int | float | bool | None


class AuditLog:
    """Appends events to one JSONL file (0600). A failing disk is logged once and does not end a call."""

    def __init__(self, path: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._failed = False
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __enter__(self) -> "AuditLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def record(self, event: str, **fields: Value) -> None:
        """Append `event`, such as "swap_in", with what `FIELDS` allows. Never raises."""
        allowed = {name: value for name, value in fields.items() if name in FIELDS}
        if len(allowed) < len(fields):
            logger.error("audit fields refused", extra={"refused": sorted(fields.keys() - FIELDS)})
        at = self._now().astimezone(UTC).isoformat(timespec="milliseconds")
        self._write(msgspec.json.encode({"at": at, "event": event, **allowed}) + b"\n")

    def close(self) -> None:
        """Close the file; later events are dropped."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, line: bytes) -> None:
        """One write in append mode: lines of two processes do not mix. No fsync: this runs on the event loop."""
        if self._descriptor < 0:
            return
        try:
            os.write(self._descriptor, line)
        except OSError as error:
            if not self._failed:
                logger.error("audit log cannot be written", extra={"errno": error.errno})
            self._failed = True

"""Which model licences an operator has accepted on this machine, and when. The store asks it before it fetches."""

import json
from datetime import datetime
from pathlib import Path


class LicenceRecord:
    """A file of JSON lines, one an acceptance, only ever appended to, readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def accepted(self, licence: str) -> bool:
        """Whether this licence, by exactly this name, was accepted before."""
        return any(line.get("licence") == licence for line in self._lines())

    def accept(self, licence: str, models: tuple[str, ...], at: datetime) -> None:
        """Record an acceptance; `models` are the names it was shown for, `at` an aware time."""
        line = {"licence": licence, "models": list(models), "accepted_at": at.isoformat(timespec="seconds")}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        with self._path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")

    def _lines(self) -> list[dict[str, object]]:
        if not self._path.exists():
            return []
        return [line for text in self._path.read_text(encoding="utf-8").splitlines() for line in _parsed(text)]


def _parsed(text: str) -> list[dict[str, object]]:
    """One line of the record; what cannot be read accepts nothing."""
    try:
        line = json.loads(text)
    except ValueError:
        return []
    return [line] if isinstance(line, dict) else []

"""One line of what `mirage-rtc doctor` found. Made by `doctor` and `engine_findings`."""

from dataclasses import dataclass
from typing import Literal

Grade = Literal["ok", "note", "fault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A "fault" means that the server could not start; `mend` is what to do about it."""

    grade: Grade
    what: str
    mend: str = ""

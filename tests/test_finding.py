"""One line of the doctor's report."""

import dataclasses

import pytest

from mirage_rtc.finding import Finding


def test_a_finding_is_a_value() -> None:
    """It says what to do only where there is something to do, and stays as it was found."""
    finding = Finding(grade="ok", what="port 8080 is free")
    assert finding.mend == ""
    with pytest.raises(dataclasses.FrozenInstanceError):
        finding.grade = "fault"  # type: ignore[misc]

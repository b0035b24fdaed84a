"""`mirage-rtc doctor`: it finds what would stop the server, says how to mend it, and changes nothing."""

import io
import re
import socket
import tomllib
from pathlib import Path

import pytest
from rich.console import Console

from mirage_rtc import doctor, encoder_probe, signing_key
from mirage_rtc.config import Config, load
from mirage_rtc.doctor import DEPENDENCIES, examine
from mirage_rtc.finding import Finding

ROOT = Path(__file__).resolve().parent.parent


def configuration(folder: Path, **environ: str) -> Config:
    """A data directory of its own and any free port."""
    return load(None, {"MIRAGE_DATA_DIR": str(folder), "MIRAGE_PORT": "0", **environ})


def faults(config: Config) -> list[Finding]:
    """What would stop the server."""
    return [finding for finding in examine(config) if finding.grade == "fault"]


def report(config: Config) -> tuple[int, str]:
    """Exit code and text."""
    out = io.StringIO()
    return doctor.report(config, Console(file=out, width=200)), out.getvalue()


def test_a_machine_that_runs_these_tests_can_start_the_server(tmp_path: Path) -> None:
    """No fault, both engines named, nothing created."""
    code, text = report(configuration(tmp_path / "data"))
    assert code == 0
    assert "The server can start." in text
    assert "face engine: embedded" in text
    assert "voice engine: embedded" in text
    assert not (tmp_path / "data").exists()


def test_the_video_encoder_is_tried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what encodes; NVENC that was asked for and does not encode is worth a note, and no fault."""
    assert (
        "video encoder: H.264 by x264 (as configured)"
        in report(configuration(tmp_path, MIRAGE_VIDEO_ENCODER="x264"))[1]
    )
    monkeypatch.setattr(encoder_probe, "fault_of", lambda _: "no driver that can be used")
    for wanted, grade in (("auto", "ok"), ("nvenc", "note")):
        findings = list(examine(configuration(tmp_path, MIRAGE_VIDEO_ENCODER=wanted)))
        line = next(finding for finding in findings if finding.what.startswith("video encoder"))
        assert (line.grade, bool(line.mend)) == (grade, grade == "note")
        assert "x264 (NVENC: no driver that can be used)" in line.what


def test_it_looks_at_exactly_the_dependencies_of_the_project() -> None:
    """A dependency added to pyproject.toml is added here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=!~ ]", line)[0] for line in project["dependencies"]}
    assert declared == set(DEPENDENCIES)


def test_missing_models_are_a_note_online_and_a_fault_offline(tmp_path: Path) -> None:
    """`serve` would fetch them, unless it must not."""
    assert faults(configuration(tmp_path)) == []
    offline = faults(configuration(tmp_path, MIRAGE_OFFLINE="1"))
    assert offline
    assert all("model" in finding.what and "models fetch" in finding.mend for finding in offline)


def test_a_missing_package_is_a_fault_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the engine that needs it is not said to run."""
    monkeypatch.setitem(DEPENDENCIES, "no-such-distribution", "no_such_module")
    code, text = report(configuration(tmp_path))
    assert code == 1
    assert "no-such-distribution is not installed" in text
    assert "-m pip install" in text


def test_a_package_that_does_not_import_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed wheel whose native library is broken counts as missing."""
    monkeypatch.setitem(DEPENDENCIES, "ai-edge-litert", "no_such_module")
    code, text = report(configuration(tmp_path))
    assert code == 1
    assert "does not import (ModuleNotFoundError)" in text
    assert "face engine" not in text


def test_without_pyworld_the_server_starts_with_the_other_voice_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A note with the consequence and the command that mends it, no fault."""
    monkeypatch.setitem(DEPENDENCIES, "pyworld-prebuilt", "no_such_module")
    code, text = report(configuration(tmp_path))
    assert code == 0
    assert re.search(r"note +pyworld-prebuilt .* does not import .*: the voice engine is the embedded TD-PSOLA", text)
    assert "--force-reinstall pyworld-prebuilt" in text
    assert "voice engine: embedded TD-PSOLA" in text


def test_imported_voices_are_named_or_what_keeps_them_away(tmp_path: Path) -> None:
    """As the voice lane would say it; a note only where somebody asked for them."""
    code, text = report(configuration(tmp_path / "data"))
    assert (code, "imported voices are not offered: there is none; `mirage-rtc voices import`" in text) == (0, True)
    findings = list(examine(configuration(tmp_path, MIRAGE_VOICE_ENGINE="neural")))
    line = next(finding for finding in findings if finding.what.startswith("imported voices"))
    assert (line.grade, bool(line.mend)) == ("note", True)
    assert "asks for the embedded ones" in report(configuration(tmp_path, MIRAGE_VOICE_ENGINE="embedded"))[1]


def test_a_port_in_use_is_a_fault(tmp_path: Path) -> None:
    """The sentence offers another port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        [fault] = faults(configuration(tmp_path, MIRAGE_PORT=str(taken.getsockname()[1])))
    assert "cannot be taken" in fault.what
    assert "--port" in fault.mend


def test_an_exposed_key_is_a_fault_and_an_open_directory_a_note(tmp_path: Path) -> None:
    """Each with its chmod."""
    signing_key.load_or_create(tmp_path / "data")
    (tmp_path / "data" / signing_key.FILE_NAME).chmod(0o644)
    [fault] = faults(configuration(tmp_path / "data"))
    assert "chmod 600" in fault.mend
    (tmp_path / "data").chmod(0o755)
    assert any("chmod 700" in finding.mend for finding in examine(configuration(tmp_path / "data")))


def test_a_certificate_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    """Before a browser finds out."""
    config = configuration(tmp_path, MIRAGE_TLS_CERT=str(tmp_path / "c.pem"), MIRAGE_TLS_KEY=str(tmp_path / "k.pem"))
    assert [fault.what for fault in faults(config)] == ["the TLS certificate cannot be used"]

"""`mirage-rtc voices`: consent first, torch only where it is needed, a sentence for everything that can be mended.

That a voice and the networks are made by these commands, `test_voice_import` and `test_network_import` show.
"""

import dataclasses
import hashlib
import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from mirage_rtc import voice_commands
from mirage_rtc.errors import BadInput, NotFound, Unavailable
from mirage_rtc.voice_options import VoiceOptions
from models.neural_voice_catalog import RMVPE_GRAPH
from models.voice_refusal import VoiceRefused
from tests.test_ready_network import pitchy
from tests.test_voice_store import RECORD, stored

IMPORT: dict[str, Any] = {
    "task": "import",
    "file": Path("nowhere.pth"),
    "name": "Grace",
    "attested_by": "Ada",
    "subject": "Grace H.",
    "purpose": "rehearsal",
    "licence": "CC-BY-4.0",
    "i_attest": True,
}
HAS_TORCH = importlib.util.find_spec("torch") is not None


@pytest.fixture
def console() -> Console:
    """A console that is piped, wide enough not to wrap."""
    return Console(file=io.StringIO(), width=200)


def text(console: Console) -> str:
    """What was printed."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_without_a_word_of_consent_nothing_is_imported(tmp_path: Path, console: Console) -> None:
    """Before torch is looked for and the file is opened."""
    for missing in ({"i_attest": False}, {"purpose": "  "}, {"attested_by": "x" * 201}):
        with pytest.raises(BadInput) as caught:
            voice_commands.run(VoiceOptions(**(IMPORT | missing)), tmp_path, console)
        assert caught.value.code == "consent_missing"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pitch_hz", [0.0, 49.0, 1101.0, float("nan")])
def test_a_pitch_that_no_voice_has_is_refused(tmp_path: Path, console: Console, pitch_hz: float) -> None:
    """Before anything is read."""
    with pytest.raises(BadInput) as caught:
        voice_commands.run(VoiceOptions(**(IMPORT | {"pitch_hz": pitch_hz})), tmp_path, console)
    assert caught.value.code == "pitch_unlikely"


def test_without_torch_the_command_says_how_to_get_it(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that calls do not need it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unavailable) as caught:
        voice_commands.run(VoiceOptions(**IMPORT), tmp_path, console)
    assert caught.value.code == "torch_missing"
    assert ".[convert,neural]" in caught.value.sentence


@pytest.mark.skipif(not HAS_TORCH, reason="the extra `convert` is not installed")
def test_a_file_that_is_not_there_is_a_coded_sentence(tmp_path: Path, console: Console) -> None:
    """As every refusal on the way."""
    with pytest.raises(BadInput) as caught:
        voice_commands.run(VoiceOptions(**IMPORT), tmp_path, console)
    assert caught.value.code == "checkpoint_unreadable"


def test_a_list_shows_broken_voices_too_and_paints_nothing(tmp_path: Path, console: Console) -> None:
    """Names are text, not markup."""
    store = stored(tmp_path / "voices")
    broken = store.root / "broken"
    broken.mkdir()
    assert voice_commands.run(VoiceOptions(task="list"), tmp_path, console) == 0
    assert "voice_damaged" in text(console)
    assert RECORD.consent.subject_name in text(console)
    assert "Pitch by autocorrelation, since neither RMVPE is prepared nor swift-f0 installed" in text(console)


def test_a_removal_is_on_record_whole_and_in_the_audit_log_without_names(tmp_path: Path, console: Console) -> None:
    """Who answered for what stays known when the voice's own record is gone; one that is unreadable goes as well."""
    store = stored(tmp_path / "voices")
    (store.root / "broken").mkdir()
    for name in ("grace", "broken"):
        assert voice_commands.run(VoiceOptions(task="remove", name=name), tmp_path, console) == 0
    assert store.voices() == {}
    receipts = [json.loads(line) for line in (tmp_path / "consent.jsonl").read_text().splitlines()]
    assert [(each["kind"], each["voice"], each["receipt_id"]) for each in receipts] == [
        ("revoked", "grace", "cv_0000000000000000"),
        ("revoked", "broken", "cv_unreadable"),
    ]
    assert receipts[0]["subject_name"] == RECORD.consent.subject_name
    assert receipts[0]["attested_by"] == RECORD.consent.attested_by
    audited = (tmp_path / "audit.jsonl").read_text()
    assert audited.count("voice_revoked") == 2
    assert "grace" not in audited.lower()


def test_a_voice_that_cannot_be_put_on_record_stays(tmp_path: Path, console: Console) -> None:
    """Nothing goes without a trace."""
    store = stored(tmp_path / "voices")
    (tmp_path / "consent.jsonl").mkdir()
    with pytest.raises(Unavailable):
        voice_commands.run(VoiceOptions(task="remove", name="grace"), tmp_path, console)
    assert list(store.voices()) == ["grace"]


@pytest.mark.parametrize("task", ["remove", "test"])
def test_an_unknown_voice_is_a_sentence_with_those_there_are(tmp_path: Path, console: Console, task: Any) -> None:
    """With its code."""
    stored(tmp_path / "voices")
    with pytest.raises(BadInput, match="grace") as caught:
        voice_commands.run(VoiceOptions(task=task, name="../grace"), tmp_path, console)
    assert caught.value.code == "voice_unknown"


def test_a_broken_graph_is_not_run(tmp_path: Path, console: Console) -> None:
    """One changed byte in a stored graph."""
    store = stored(tmp_path / "voices")
    (store.root / "grace" / "decoder.onnx").write_bytes(b"graqh")
    with pytest.raises(BadInput) as caught:
        voice_commands.run(VoiceOptions(task="test", name="grace"), tmp_path, console)
    assert caught.value.code == "voice_damaged"
    with pytest.raises(VoiceRefused):
        store.graphs("grace")


def test_a_ready_graph_is_prepared_without_torch(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a file, as it was published."""
    monkeypatch.setattr(voice_commands, "_has_torch", lambda: False)
    (tmp_path / "rmvpe.onnx").write_bytes(pitchy())
    assert voice_commands.run(VoiceOptions(task="prepare", file=tmp_path / "rmvpe.onnx"), tmp_path, console) == 0
    assert voice_commands.run(VoiceOptions(task="list"), tmp_path, console) == 0
    assert "Pitch by RMVPE." in text(console)


def test_fetched_files_are_found_and_prepared_once(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those with the pinned bytes; without one the sentence names the command that gets it."""
    monkeypatch.setattr(voice_commands, "_has_torch", lambda: False)
    content, folder = pitchy(), tmp_path / "models"
    pinned = dataclasses.replace(RMVPE_GRAPH, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(voice_commands, "RMVPE_GRAPH", pinned)
    with pytest.raises(NotFound, match=r"models fetch rmvpe\.onnx contentvec\.bin"):
        voice_commands.run(VoiceOptions(task="prepare"), tmp_path, console)
    folder.mkdir()
    (folder / "rmvpe.onnx").write_bytes(content)
    assert voice_commands.run(VoiceOptions(task="prepare"), tmp_path, console) == 0
    assert "ready     rmvpe" in text(console)
    with pytest.raises(NotFound, match=r"models fetch contentvec\.bin"):
        voice_commands.run(VoiceOptions(task="prepare"), tmp_path, console)


def test_several_speakers_are_said_and_which_of_them_is_used() -> None:
    """One needs no word."""
    assert "speakers" not in voice_commands._in_words(RECORD)
    several = msgspec.structs.replace(RECORD, speakers=2)
    assert "kHz, 2 speakers, the first is used" in voice_commands._in_words(several)

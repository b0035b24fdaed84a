"""What can be typed after `mirage-rtc voices`."""

from pathlib import Path

import pytest

from mirage_rtc.command_line import parse

IMPORT = ["voices", "import", "g.pth", "--name", "Grace", "--attested-by", "Ada", "--subject", "Grace H."]
RECORD = ["--purpose", "rehearsal", "--licence", "CC-BY-4.0", "--relation", "permission"]


def test_an_import_takes_the_file_and_the_record() -> None:
    """Nothing is attested unless it is typed; common options are overrides as everywhere."""
    command = parse([*IMPORT, *RECORD, "--data-dir", "d"])
    assert command.overrides == {"MIRAGE_DATA_DIR": "d"}
    voice = command.voice
    assert voice is not None
    assert (voice.task, voice.file, voice.name, voice.i_attest) == ("import", Path("g.pth"), "Grace", False)
    assert (voice.attested_by, voice.subject, voice.purpose) == ("Ada", "Grace H.", "rehearsal")
    assert (voice.licence, voice.relation) == ("CC-BY-4.0", "permission")
    attested = parse([*IMPORT, *RECORD, "--i-attest"]).voice
    assert attested is not None
    assert attested.i_attest


def test_an_index_and_a_pitch_may_come_with_the_voice() -> None:
    """And need not."""
    plain, rich = parse([*IMPORT, *RECORD]).voice, parse([*IMPORT, *RECORD, "--index", "a.index", "--pitch-hz", "210"])
    assert plain is not None
    assert (plain.index, plain.pitch_hz) == (None, None)
    assert rich.voice is not None
    assert (rich.voice.index, rich.voice.pitch_hz) == (Path("a.index"), 210.0)


@pytest.mark.parametrize("missing", ["--attested-by", "--subject", "--purpose", "--licence", "--relation", "--name"])
def test_there_is_no_default_for_consent(missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line of the record must be typed."""
    argv = [*IMPORT, *RECORD]
    place = argv.index(missing)
    with pytest.raises(SystemExit) as caught:
        parse(argv[:place] + argv[place + 2 :])
    assert caught.value.code == 2
    assert missing in capsys.readouterr().err


def test_networks_are_prepared_of_a_file() -> None:
    """Nobody's voice is in them, so there is nothing to put on record."""
    voice = parse(["voices", "prepare", "rmvpe.pt"]).voice
    assert voice is not None
    assert (voice.task, voice.file) == ("prepare", Path("rmvpe.pt"))


@pytest.mark.parametrize("task", ["remove", "test"])
def test_a_stored_voice_is_named(task: str) -> None:
    """As `voices list` shows it."""
    voice = parse(["voices", task, "grace"]).voice
    assert voice is not None
    assert (voice.task, voice.name) == (task, "grace")


def test_other_commands_have_no_voice() -> None:
    """`subject` of a token stays its own."""
    command = parse(["token", "--subject", "ada"])
    assert command.voice is None
    assert command.subject == "ada"

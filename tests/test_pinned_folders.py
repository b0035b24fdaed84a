"""Folders that are whole or not there, and unchanged since they were written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from models.pinned_folders import MAX_RECORD_BYTES, PINS_NAME, PinnedFolders, read_record
from models.voice_refusal import VoiceRefused


def filled(root: Path, name: str = "ada") -> PinnedFolders:
    """One folder with two files."""
    folders = PinnedFolders(root)
    with folders.adding(name) as folder:
        (folder / "a.bin").write_bytes(b"graph")
        (folder / "b.json").write_bytes(b"{}")
    return folders


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    """Not before the block ends, and then whole."""
    folders = PinnedFolders(tmp_path / "new")
    assert folders.names() == ()
    with folders.adding("ada") as folder:
        (folder / "a.bin").write_bytes(b"graph")
        assert folders.names() == ()
    assert folders.names() == ("ada",)
    assert (folders.verified("ada") / "a.bin").read_bytes() == b"graph"


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither the folder nor a part of it."""
    folders = PinnedFolders(tmp_path)
    with pytest.raises(ZeroDivisionError), folders.adding("ada") as folder:
        (folder / "a.bin").write_bytes(bytes(1 // len(folder.suffix)))
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    """By the next one that writes."""
    (tmp_path / ".part-old").mkdir()
    filled(tmp_path)
    assert not (tmp_path / ".part-old").exists()


def test_a_disk_that_does_not_take_it_is_a_sentence(tmp_path: Path) -> None:
    """A file in the place of the root."""
    (tmp_path / "root").write_text("a file")
    with pytest.raises(VoiceRefused) as caught, PinnedFolders(tmp_path / "root").adding("ada"):
        pass
    assert caught.value.code == "voice_unwritable"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A second of the same name is refused."""
    folders = filled(tmp_path)
    with pytest.raises(VoiceRefused) as caught, folders.adding("ada"):
        pass
    assert caught.value.code == "voice_exists"


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", ".part-x", "a" * 64, "a\x00b"])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    """Neither to write nor to read nor to remove."""
    folders = filled(tmp_path)
    with pytest.raises(VoiceRefused) as caught, folders.adding(name):
        pass
    assert caught.value.code == "voice_name"
    for action in (folders.folder, folders.verified, folders.remove):
        with pytest.raises(VoiceRefused) as caught:
            action(name)
        assert caught.value.code == "voice_unknown"


SPOILERS: dict[str, Callable[[Path], object]] = {
    "changed": lambda folder: (folder / "a.bin").write_bytes(b"graqh"),
    "missing": lambda folder: (folder / "a.bin").unlink(),
    "added": lambda folder: (folder / "c.bin").write_bytes(b""),
    "pins unreadable": lambda folder: (folder / PINS_NAME).write_bytes(b"not json"),
    "pins missing": lambda folder: (folder / PINS_NAME).unlink(),
    "pins huge": lambda folder: (folder / PINS_NAME).write_bytes(b" " * (MAX_RECORD_BYTES + 1)),
}


@pytest.mark.parametrize("spoiled", SPOILERS)
def test_a_folder_that_is_not_as_it_was_written_is_refused(tmp_path: Path, spoiled: str) -> None:
    """One byte is enough; so is a graph that was put beside the others."""
    folders = filled(tmp_path)
    SPOILERS[spoiled](tmp_path / "ada")
    with pytest.raises(VoiceRefused) as caught:
        folders.verified("ada")
    assert caught.value.code == "voice_damaged"


def test_a_folder_is_removed(tmp_path: Path) -> None:
    """And its name is free again."""
    folders = filled(tmp_path)
    folders.remove("ada")
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    filled(tmp_path)


def test_a_record_is_small(tmp_path: Path) -> None:
    """More than a megabyte is not read."""
    (tmp_path / "r").write_bytes(b"x" * (MAX_RECORD_BYTES + 1))
    with pytest.raises(OSError, match="larger"):
        read_record(tmp_path / "r")

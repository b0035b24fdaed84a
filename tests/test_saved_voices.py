"""Saved voices on the disk: whole, one's own, bounded, and no more than numbers."""

import json
import os
from pathlib import Path

import pytest

from mirage_rtc.errors import BadInput, NotFound, TooMany, Unavailable
from signaling import saved_voices
from signaling.protocol import VoiceChoice
from signaling.saved_voices import FOLDER, KEPT_PER_SUBJECT, SavedVoices

DEEP = VoiceChoice(preset="custom", pitch_semitones=-4.0, gate_db=-50.0, reference="clip:abc")


async def test_a_voice_comes_back_after_a_restart_without_its_reference(tmp_path: Path) -> None:
    """Everything but the clip, which was in memory only."""
    await SavedVoices(tmp_path).save("ada", "Deep ü", DEEP)
    [found] = await SavedVoices(tmp_path).list("ada")
    assert found.name == "Deep ü"
    assert (found.voice.pitch_semitones, found.voice.gate_db, found.voice.reference) == (-4.0, -50.0, None)


async def test_each_sees_their_own_and_nobody_their_names(tmp_path: Path) -> None:
    """Also not who lists the folder; only the owner may read the files."""
    saved = SavedVoices(tmp_path)
    await saved.save("ada", "One", DEEP)
    await saved.save("../bob", "Two", DEEP)
    assert [voice.name for voice in await saved.list("../bob")] == ["Two"]
    files = list((tmp_path / FOLDER).iterdir())
    assert len(files) == 2
    assert all("ada" not in file.name and "bob" not in file.name for file in files)
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)


async def test_a_name_is_saved_again_and_removed(tmp_path: Path) -> None:
    """The last one stays; removing what is not there is an error."""
    saved = SavedVoices(tmp_path)
    await saved.save("ada", "One", DEEP)
    await saved.save("ada", "One", VoiceChoice(preset="robot"))
    assert [voice.voice.preset for voice in await saved.list("ada")] == ["robot"]
    await saved.remove("ada", "One")
    assert await saved.list("ada") == ()
    with pytest.raises(NotFound):
        await saved.remove("ada", "One")


async def test_there_is_an_end_to_it(tmp_path: Path) -> None:
    """A full shelf still takes a name that is on it."""
    saved = SavedVoices(tmp_path)
    for number in range(KEPT_PER_SUBJECT):
        await saved.save("ada", f"Voice {number}", DEEP)
    with pytest.raises(TooMany) as caught:
        await saved.save("ada", "One more", DEEP)
    assert caught.value.code == "voice_presets_full"
    await saved.save("ada", "Voice 3", DEEP)
    assert len(await saved.list("ada")) == KEPT_PER_SUBJECT


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 61])
async def test_a_name_that_nobody_could_read_is_refused(tmp_path: Path, name: str) -> None:
    """And nothing is written."""
    with pytest.raises(BadInput):
        await SavedVoices(tmp_path).save("ada", name, DEEP)
    assert await SavedVoices(tmp_path).list("ada") == ()
    assert FOLDER not in os.listdir(tmp_path)


async def test_a_damaged_file_is_an_empty_shelf_and_is_replaced(tmp_path: Path) -> None:
    """Half a file, and one of somebody who edits by hand."""
    saved = SavedVoices(tmp_path)
    await saved.save("ada", "One", DEEP)
    [path] = (tmp_path / FOLDER).iterdir()
    for broken in (b'{"One": {"preset"', json.dumps({"One": {"pitch_semitones": 1e9}}).encode(), b"[" * 10_000):
        path.write_bytes(broken)
        assert await saved.list("ada") == ()
    await saved.save("ada", "Two", DEEP)
    assert [voice.name for voice in await saved.list("ada")] == ["Two"]
    assert len(list((tmp_path / FOLDER).iterdir())) == 1


async def test_a_disk_that_takes_nothing_is_a_sentence(tmp_path: Path) -> None:
    """A file is in the folder's place."""
    (tmp_path / FOLDER).write_bytes(b"")
    with pytest.raises(Unavailable, match=r"disk\.$"):
        await SavedVoices(tmp_path).save("ada", "One", DEEP)


async def test_a_file_that_cannot_be_read_now_is_kept(tmp_path: Path) -> None:
    """A disk that fails for a moment is no empty shelf: nothing is listed, saved or removed, and nothing replaced."""
    saved = SavedVoices(tmp_path)
    await saved.save("ada", "One", DEEP)
    [path] = (tmp_path / FOLDER).iterdir()
    kept = path.rename(tmp_path / "kept.json")
    path.symlink_to(path)  # a loop, which even root cannot read
    for attempt in (saved.list("ada"), saved.save("ada", "Two", DEEP), saved.remove("ada", "One")):
        with pytest.raises(Unavailable, match=r"cannot be read \(.+disk\.$") as caught:
            await attempt
        assert caught.value.code == "voice_presets_unreadable"
    assert path.is_symlink()
    kept.rename(path)
    assert [voice.name for voice in await saved.list("ada")] == ["One"]


async def test_only_shelves_with_something_on_them_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever removed all leaves no file behind, and drafts of a crash are nobody's."""
    monkeypatch.setattr(saved_voices, "KEPT_SUBJECTS", 2)
    saved = SavedVoices(tmp_path)
    for subject in ("ada", "bob"):
        await saved.save(subject, "One", DEEP)
    (tmp_path / FOLDER / ".part-x").write_bytes(b"half")
    with pytest.raises(TooMany):
        await saved.save("eve", "One", DEEP)
    await saved.remove("ada", "One")
    assert len(list((tmp_path / FOLDER).glob("*.json"))) == 1
    await saved.save("eve", "One", DEEP)

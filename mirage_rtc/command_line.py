"""What can be typed after `mirage-rtc`: the sub-commands and their options, parsed into one value.

Options that mirror a configuration field become overrides by environment name, so that `mirage_rtc.config` alone knows
their bounds. Called by `mirage_rtc.__main__`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mirage_rtc import __version__, voice_options
from mirage_rtc.config import PREFIX, Config
from mirage_rtc.voice_options import VoiceOptions

Action = Literal["serve", "token", "doctor", "models", "voices"]
Task = Literal["list", "fetch", "verify", "path", "import"]
ACTIONS: tuple[Action, ...] = ("serve", "token", "doctor", "models", "voices")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One invocation. Fields that a sub-command does not use keep their default."""

    action: Action
    config: Path | None
    overrides: dict[str, str]
    subject: str = ""
    passthrough: bool = False
    badge_off: bool = False
    task: Task = "list"
    names: tuple[str, ...] = ()
    accept_licence: bool = False
    voice: VoiceOptions | None = None


def parse(argv: Sequence[str]) -> Command:
    """Parse `argv` (without the program's name). Leaves with code 2 and a usage line when it cannot be understood."""
    options = vars(_parser().parse_args(_with_action(argv)))
    config = options.pop("config")
    names = tuple(options.pop("names", ()))
    voice = voice_options.take(options)
    fields = {name: options.pop(name) for name in list(options) if name in Config.__struct_fields__}
    overrides = {PREFIX + name.upper(): _as_text(value) for name, value in fields.items() if value is not None}
    return Command(config=config, overrides=overrides, names=names, voice=voice, **options)


def _with_action(argv: Sequence[str]) -> list[str]:
    """Without a sub-command, `serve` is meant."""
    if argv and (argv[0] in {*ACTIONS, "-h", "--help", "--version"}):
        return list(argv)
    return ["serve", *argv]


def _as_text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mirage-rtc",
        description="A self-hosted WebRTC server that swaps the face and converts the voice of a live call.",
        epilog="Everything else is set by MIRAGE_* variables or a TOML file: the README lists them.",
    )
    parser.add_argument("--version", action="version", version=f"mirage-rtc {__version__}")
    actions = parser.add_subparsers(dest="action", required=True, metavar="serve | token | doctor | models | voices")
    _add_serve(actions.add_parser("serve", help="run the server and print a link (the default)"))
    _add_token(actions.add_parser("token", help="print a link for one person"))
    _add_common(actions.add_parser("doctor", help="what is installed, what would run, what is missing"))
    _add_models(actions.add_parser("models", help="list, fetch, verify, find or import the models"))
    voice_options.add(actions.add_parser("voices", help="import, list, remove or test voices"), _add_common)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="a TOML file; MIRAGE_* variables win over it")
    parser.add_argument("--data-dir", metavar="DIR", help="where the key, the models and the receipts live")
    parser.add_argument("--host", metavar="ADDRESS", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", metavar="N", help="TCP port (8080)")
    parser.add_argument("--offline", action="store_true", default=None, help="fetch nothing from a network")
    parser.add_argument(
        "--behind-proxy", action="store_true", default=None, help="a proxy in front speaks TLS to browsers"
    )


def _add_serve(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    _add_grants(parser)
    parser.set_defaults(subject="operator")


def _add_token(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    _add_grants(parser)
    parser.add_argument(
        "--subject", required=True, metavar="NAME", help="who the link is for; portraits are kept apart by it"
    )
    parser.add_argument(
        "--ttl", dest="token_ttl_s", metavar="SECONDS", help="how long the link can be used to join (600)"
    )


def _add_grants(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--passthrough", action="store_true", help="allow this link to ask for the raw face and voice")
    parser.add_argument("--badge-off", action="store_true", help="allow this link to hide the AI badge")


def _add_models(parser: argparse.ArgumentParser) -> None:
    tasks = parser.add_subparsers(dest="task", required=True, metavar="list | fetch | verify | path | import")
    for task, sentence, what in (
        ("list", "name, licence, size and state of every model", "models by name; all of them when none is given"),
        ("fetch", "get models before they are needed", "models by name; the embedded engines' when none is given"),
        (
            "verify",
            "read models again and compare their SHA-256",
            "models by name; all that are there when none is given",
        ),
        ("path", "where a verified model lies", "models by name"),
        ("import", "take model files that were got elsewhere", "files, or wheels and .zip archives of them"),
    ):
        leaf = tasks.add_parser(task, help=sentence)
        _add_common(leaf)
        required = task in {"path", "import"}
        leaf.add_argument(
            "names", nargs="+" if required else "*", metavar="FILE" if task == "import" else "NAME", help=what
        )
        if task in {"fetch", "import"}:
            leaf.add_argument(
                "--accept-licence", action="store_true", help="accept the licences of the models asked for, unasked"
            )

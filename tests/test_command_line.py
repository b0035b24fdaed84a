"""What can be typed: sub-commands, options as overrides, and help that names them."""

from pathlib import Path

import pytest

from mirage_rtc.command_line import parse


@pytest.mark.parametrize("argv", [[], ["serve"], ["--port", "9"], ["serve", "--offline"]])
def test_serve_is_what_is_meant_without_a_sub_command(argv: list[str]) -> None:
    """`python -m mirage_rtc` and `mirage-rtc serve` are the same."""
    assert parse(argv).action == "serve"


def test_options_become_overrides_by_environment_name() -> None:
    """Bounds are the configuration's business; an option that is not given overrides nothing."""
    command = parse(["serve", "--host", "::1", "--port", "9", "--behind-proxy", "--data-dir", "d"])
    assert command.overrides == {
        "MIRAGE_HOST": "::1",
        "MIRAGE_PORT": "9",
        "MIRAGE_BEHIND_PROXY": "1",
        "MIRAGE_DATA_DIR": "d",
    }
    assert parse([]).overrides == {}


def test_a_token_says_who_and_what_it_grants() -> None:
    """Nothing is granted unless it is typed."""
    plain = parse(["token", "--subject", "ada"])
    assert (plain.subject, plain.passthrough, plain.badge_off, plain.overrides) == ("ada", False, False, {})
    wide = parse(["token", "--subject", "ada", "--passthrough", "--badge-off", "--ttl", "60"])
    assert (wide.passthrough, wide.badge_off, wide.overrides) == (True, True, {"MIRAGE_TOKEN_TTL_S": "60"})


def test_models_takes_a_task_and_names() -> None:
    """All models when none is named."""
    assert parse(["models", "list"]).task == "list"
    command = parse(["models", "verify", "a.tflite", "b.tflite", "--config", "m.toml"])
    assert (command.task, command.names, command.config) == ("verify", ("a.tflite", "b.tflite"), Path("m.toml"))


@pytest.mark.parametrize("argv", [["token"], ["models"], ["dance"], ["serve", "--prot", "9"], ["models", "burn"]])
def test_what_cannot_be_understood_ends_with_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With a usage line, before anything is started."""
    with pytest.raises(SystemExit) as caught:
        parse(argv)
    assert caught.value.code == 2
    assert "usage: mirage-rtc" in capsys.readouterr().err


def test_models_are_found_imported_and_their_licences_accepted() -> None:
    """`path` and `import` need a name; only what brings files in can accept a licence."""
    assert parse(["models", "path", "a.onnx"]).task == "path"
    assert parse(["models", "import", "a.zip", "--accept-licence"]).accept_licence
    assert parse(["models", "fetch", "a.onnx", "--accept-licence"]).names == ("a.onnx",)
    assert not parse(["models", "fetch"]).accept_licence
    for argv in (["path"], ["import"], ["verify", "--accept-licence"]):
        with pytest.raises(SystemExit):
            parse(["models", *argv])


def test_help_names_every_sub_command(capsys: pytest.CaptureFixture[str]) -> None:
    """And leaves with code 0."""
    with pytest.raises(SystemExit) as caught:
        parse(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert all(action in shown for action in ("serve", "token", "doctor", "models"))

"""The command as a person runs it: one link, a clean end, one sentence for everything that can be mended."""

import gc
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jwt
import pytest

from mirage_rtc import __main__ as main_module
from mirage_rtc import signing_key
from signaling import auth
from tests.model_store import model_store

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"^(http://127\.0\.0\.1:\d+)/#t=([\w.-]+)$", re.MULTILINE)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A first run's data directory, but for the models, which all tests share."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "models").symlink_to(model_store().root, target_is_directory=True)
    return folder


def command(folder: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """The command line and an environment with this data directory and nothing else of Mirage's."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MIRAGE_")}
    return [sys.executable, "-m", "mirage_rtc", *arguments], environ | {"MIRAGE_DATA_DIR": str(folder)}


def run(folder: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    argv, environ = command(folder, *arguments)
    return subprocess.run(argv, env=environ | extra, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A server on any free port, and its link; killed if the test leaves it running."""
    argv, environ = command(folder, "serve", "--port", "0", *arguments)
    with subprocess.Popen(
        argv, env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            lines = iter(server.stdout.readline, "")
            link = next((line.strip() for line in lines if LINK.match(line)), None)
            assert link is not None, server.stderr and server.stderr.read()
            yield server, link
        finally:
            server.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_one_link_serves_the_page_and_ends_cleanly(data_dir: Path, number: signal.Signals) -> None:
    """Offline, with the models in place: ready, page and link, then exit code 0 and no traceback."""
    with serving(data_dir, "--offline") as (server, link):
        found = LINK.match(link)
        assert found is not None
        with urllib.request.urlopen(found[1] + "/", timeout=60) as page:
            assert b"<html" in page.read()
        with urllib.request.urlopen(found[1] + "/readyz", timeout=60) as ready:
            assert ready.status == 200
        server.send_signal(number)
        out, err = server.communicate(timeout=120)
    assert server.returncode == 0
    assert out == ""
    assert "Face: embedded" in err
    assert "Traceback" not in err
    assert not list(data_dir.glob("*.part"))


def test_the_link_s_token_is_signed_for_the_operator_and_grants_nothing(data_dir: Path) -> None:
    """`token` prints the same kind of link for a running server; grants are only what was typed."""
    plain = run(data_dir, "token", "--subject", "ada")
    wide = run(data_dir, "token", "--subject", "ada", "--passthrough", "--badge-off", "--ttl", "30")
    key = auth.link_key(signing_key.load_or_create(data_dir))
    first, second = (LINK.search(result.stdout) for result in (plain, wide))
    assert first is not None
    assert second is not None
    claims = auth.verify(key, first[2], _issued_s(key, first[2]))
    assert (claims.subject, claims.grants.passthrough, claims.grants.badge_off) == ("ada", False, False)
    granted = auth.verify(key, second[2], _issued_s(key, second[2])).grants
    assert (granted.passthrough, granted.badge_off) == (True, True)


def _issued_s(key: bytes, token: str) -> float:
    """When a token was issued, by its own word."""
    return float(jwt.decode(token, key, algorithms=["HS256"], audience=auth.AUDIENCE)["iat"])


def test_a_taken_port_is_one_sentence_and_exit_code_2(data_dir: Path) -> None:
    """Found before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run(data_dir, "serve", "--offline", "--port", str(taken.getsockname()[1]))
    assert result.returncode == 2
    assert "--port" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_offline_without_models_says_what_to_run_and_where(tmp_path: Path) -> None:
    """And creates the private data directory on the way."""
    result = run(tmp_path / "new", "serve", "--port", "0", "--offline")
    assert result.returncode == 2
    assert "pip download" in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / signing_key.FILE_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "extra", "words"),
    [
        (("serve", "--host", "0.0.0.0"), {}, "no camera to plain HTTP"),
        (("serve",), {"MIRAGE_PROT": "1"}, "Did you mean MIRAGE_PORT?"),
        (("serve", "--port", "0"), {"MIRAGE_TLS_CERT": "/none.pem", "MIRAGE_TLS_KEY": "/none.pem"}, "cannot be used"),
        (("token", "--subject", "ada", "--ttl", "9999"), {}, "MIRAGE_TOKEN_TTL_S"),
        (("models", "fetch", "dream.onnx"), {}, "There is no model"),
    ],
)
def test_what_can_be_mended_is_one_sentence_and_exit_code_2(
    data_dir: Path, arguments: tuple[str, ...], extra: dict[str, str], words: str
) -> None:
    """No traceback for any expected error."""
    result = run(data_dir, *arguments, **extra)
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_models_and_doctor_report_a_ready_machine(data_dir: Path) -> None:
    """Every file of the catalogue verified, nothing in the way of a start."""
    assert run(data_dir, "models", "verify").returncode == 0
    assert "ready" in run(data_dir, "models", "list").stdout
    result = run(data_dir, "doctor", "--port", "0", "--offline")
    assert result.returncode == 0, result.stdout
    assert "The server can start." in result.stdout


def test_what_was_made_at_start_is_kept_out_of_later_collections() -> None:
    """A full collection in a call does not walk through the modules."""
    try:
        main_module._spare_the_collector()
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()

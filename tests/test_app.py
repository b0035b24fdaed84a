"""Building, listening and stopping."""

import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from mirage_rtc.config import Config
from mirage_rtc.errors import ConfigError
from mirage_rtc.grants import Grants
from models.voice_presets import PRESETS
from signaling import auth
from signaling.app import Preset, build_app, limits_of, serve
from tests.fake_session import FakeCalls
from tests.wire_server import KEY, vault


def app(data_dir: Path, **changed: Any) -> web.Application:
    presets: tuple[Preset, ...] = PRESETS
    arguments: dict[str, Any] = {
        "config": Config(data_dir=data_dir),
        "registry": FakeCalls(),
        "vault": vault(data_dir),
        "voices": presets,
        "link_key": KEY,
        "prometheus": CollectorRegistry(),
        "web_root": data_dir,
    }
    return build_app(**(arguments | changed))


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    """A key that can be guessed would open every call."""
    with pytest.raises(ConfigError, match="32 bytes"):
        app(tmp_path, link_key=b"short")


def test_an_operator_who_allows_larger_portraits_gets_them(tmp_path: Path) -> None:
    """The bound of an upload follows the bound of a picture, and never falls under the usual one."""
    assert limits_of(Config(data_dir=tmp_path)).upload_bytes == 12 * 2**20
    assert limits_of(Config(data_dir=tmp_path, picture_max_bytes=20 * 2**20)).upload_bytes > 20 * 2**20


async def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    """The commonest start-up fault names the port and the setting."""
    async with serve(app(tmp_path), host="127.0.0.1", port=0) as port:
        with pytest.raises(ConfigError) as caught:
            async with serve(app(tmp_path), host="127.0.0.1", port=port):
                pass
        assert caught.value.code == "port_taken"
        assert str(port) in caught.value.sentence


async def test_a_host_that_is_not_ours_is_said_in_a_sentence(tmp_path: Path) -> None:
    """An address of another machine cannot be listened on."""
    with pytest.raises(ConfigError) as caught:
        async with serve(app(tmp_path), host="192.0.2.1", port=0):
            pass
    assert caught.value.code == "host_unusable"


async def test_stopping_ends_open_sockets_and_frees_the_port(tmp_path: Path) -> None:
    """Leaving `serve` is enough, with a caller connected."""
    async with aiohttp.ClientSession() as http:
        async with serve(app(tmp_path), host="127.0.0.1", port=0) as port:
            token = auth.mint(KEY, "ada", Grants(), 60, time.time())
            url = f"http://127.0.0.1:{port}/v1/signal"
            socket = await http.ws_connect(url, protocols=("mirage.v1", f"bearer.{token}"))
        assert (await socket.receive_json())["code"] == "going_away"
        async with serve(app(tmp_path), host="127.0.0.1", port=port) as again:
            assert again == port

"""A real server on a free loopback port around scripted calls, and a client for it. Used by the wire's tests."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiohttp import web
from prometheus_client import CollectorRegistry

from mirage_rtc.config import Config
from mirage_rtc.consent import ConsentLedger
from mirage_rtc.errors import BadInput
from mirage_rtc.grants import Grants
from mirage_rtc.identities import IdentityVault
from models.engines import Frame
from signaling import auth
from signaling.app import build_app, serve
from signaling.limits import Limits
from signaling.services import SERVICES
from tests.fake_session import FakeCalls

KEY = b"k" * 32
NOW_S = 1_800_000_000.0

Socket = aiohttp.ClientWebSocketResponse[bool]


@dataclass(frozen=True)
class Listed:
    """A mask or a voice, as the page lists it."""

    name: str
    title: str = "Title"
    description: str = "Description"


class WireServer:
    """Where the server is, what is behind it, and shorthand for its clients."""

    def __init__(self, *, port: int, calls: FakeCalls, http: aiohttp.ClientSession, app: web.Application) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.calls = calls
        self.http = http
        self.services = app[SERVICES]
        self._app = app

    async def stop(self) -> None:
        """What the server does first when it stops."""
        await self._app.shutdown()

    def link(self, subject: str = "ada", *, ttl_s: int = 600, now_s: float = NOW_S, **grants: Any) -> str:
        """A link token."""
        return auth.mint(KEY, subject, Grants(**grants), ttl_s, now_s)

    async def join(self, subject: str = "ada", **grants: Any) -> str:
        """A resume token of a new session."""
        async with self.post("/v1/sessions", self.link(subject, **grants)) as response:
            assert response.status == 201, await response.text()
            token: str = (await response.json())["resume_token"]
            return token

    def post(self, path: str, token: str | None = None, **options: Any) -> "aiohttp.client._RequestContextManager":
        """`POST`, with a bearer token."""
        return self.ask("POST", path, token, **options)

    def ask(
        self, method: str, path: str, token: str | None = None, **options: Any
    ) -> "aiohttp.client._RequestContextManager":
        """Any request, with a bearer token."""
        headers = options.pop("headers", {}) | ({} if token is None else {"Authorization": f"Bearer {token}"})
        return self.http.request(method, self.url + path, headers=headers, **options)

    async def problem(self, method: str, path: str, token: str | None = None, **options: Any) -> tuple[int, str, str]:
        """(status, code, sentence) of a request that is refused."""
        async with self.ask(method, path, token, **options) as response:
            body = await response.json()
            return response.status, body["code"], body["sentence"]

    def socket(self, token: str, **options: Any) -> "aiohttp.client._WSRequestContextManager":
        """A signalling socket, as a browser opens it."""
        return self.http.ws_connect(f"{self.url}/v1/signal", protocols=("mirage.v1", f"bearer.{token}"), **options)

    @contextlib.asynccontextmanager
    async def greeted(self, token: str, **options: Any) -> AsyncIterator[Socket]:
        """A socket after `hello` and `welcome`."""
        async with self.socket(token, **options) as socket:
            await socket.send_json({"type": "hello", "version": 1})
            await until(socket, "welcome")
            yield socket


async def until(socket: Socket, kind: str, *, code: str | None = None) -> dict[str, Any]:
    """The next message of a kind (and code); others are skipped."""
    while True:
        message = await socket.receive(timeout=60)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        body: dict[str, Any] = message.json()
        if body["type"] == kind and code in (None, body.get("code")):
            return body


async def closing(socket: Socket) -> tuple[str, str, int | None]:
    """(code, sentence, WebSocket closing code) of a socket that the server ends."""
    last = await until(socket, "closing")
    await socket.receive(timeout=60)
    return last["code"], last["sentence"], socket.close_code


async def _inspect(portraits: tuple[Frame, ...]) -> None:
    """Says of a picture's top left pixel how many faces there are, as the engine would of the picture."""
    for portrait in portraits:
        faces = int(portrait[0, 0, 0]) // 100
        if faces == 0:
            raise BadInput("portrait_no_face", "There is no face in this picture. Choose one that shows a face.")
        if faces > 1:
            raise BadInput("portrait_several_faces", "There is more than one face in this picture. Crop it to one.")


def vault(data_dir: Path) -> IdentityVault:
    """Two masks, and portraits judged by `_inspect`."""
    return IdentityVault(
        masks=(Listed("one"), Listed("two")),
        draw_mask=lambda _, size_px: np.full((size_px, size_px, 3), 90, np.uint8),
        ledger=ConsentLedger(data_dir / "consent.jsonl", KEY),
        inspect=_inspect,
        max_portraits=2,
        max_bytes=10_485_760,
        max_pixels=40_000_000,
    )


@contextlib.asynccontextmanager
async def wire_server(
    data_dir: Path,
    *,
    limits: Limits | None = None,
    calls: FakeCalls | None = None,
    web_root: Path | None = None,
    **config: Any,
) -> AsyncIterator[WireServer]:
    """The server, until the block ends. Wall time stands still at `NOW_S`."""
    calls = calls or FakeCalls()
    app = build_app(
        config=Config(data_dir=data_dir, **config),
        registry=calls,
        vault=vault(data_dir),
        voices=(Listed("disguise"), Listed("lower")),
        link_key=KEY,
        prometheus=CollectorRegistry(),
        web_root=web_root or data_dir,
        limits=limits,
        clock_s=lambda: NOW_S,
    )
    async with serve(app, host="127.0.0.1", port=0) as port, aiohttp.ClientSession() as http:
        yield WireServer(port=port, calls=calls, http=http, app=app)

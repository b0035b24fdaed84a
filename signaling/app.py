"""Builds the web application and listens. `mirage_rtc.__main__` calls `build_app` and `serve`; tests do the same.

Nothing here is global: every part is made from the arguments and shared through one AppKey.
"""

import asyncio
import contextlib
import errno
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry

from mirage_rtc.config import Config
from mirage_rtc.errors import ConfigError
from mirage_rtc.identities import IdentityVault
from signaling import http_api, identity_api, page, saved_voices_api, voices_api
from signaling.admission import Door
from signaling.calls import Calls
from signaling.http_rules import add_headers, coded_errors, own_origin
from signaling.limits import KeyedBuckets, Limits
from signaling.protocol import VoicePreset
from signaling.saved_voices import SavedVoices
from signaling.services import SERVICES, Services
from signaling.tickets import Tickets
from signaling.used_links import UsedLinks
from signaling.voice_references import VoiceReferences
from signaling.wire_metrics import WireMetrics

SWEEP_EVERY_S = 10.0
SHUTDOWN_S = 5.0
LINK_KEY_BYTES_MIN = 32


class Preset(Protocol):
    """What the page needs to know of a voice."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...


def build_app(
    *,
    config: Config,
    registry: Calls,
    vault: IdentityVault,
    voices: Iterable[Preset],
    link_key: bytes,
    prometheus: CollectorRegistry,
    web_root: Path,
    limits: Limits | None = None,
    clock_s: Callable[[], float] = time.time,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> web.Application:
    """The application. `link_key` is `auth.link_key(...)`, >= 32 bytes; `clock_s` is wall time, as tokens carry it.

    `registry` and `vault` stay the caller's to close, after the application was cleaned up.
    """
    services = _services(
        config, registry, vault, voices, link_key, prometheus, limits or limits_of(config), clock_s, monotonic_s
    )
    app = web.Application(middlewares=[coded_errors, own_origin], client_max_size=services.limits.upload_bytes)
    app[SERVICES] = services
    app[page.ROOT] = web_root
    apis = (http_api, identity_api, voices_api, saved_voices_api)
    app.add_routes([*(route for api in apis for route in api.ROUTES), web.get("/{path:.*}", page.page)])
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(_leave)
    app.cleanup_ctx.append(_sweeping)
    return app


def limits_of(config: Config) -> Limits:
    """The usual bounds, with room for the largest portrait that the operator allows and its form."""
    usual = Limits()
    return Limits(upload_bytes=max(usual.upload_bytes, config.picture_max_bytes + usual.message_bytes))


def _services(
    config: Config,
    registry: Calls,
    vault: IdentityVault,
    voices: Iterable[Preset],
    link_key: bytes,
    prometheus: CollectorRegistry,
    limits: Limits,
    clock_s: Callable[[], float],
    monotonic_s: Callable[[], float],
) -> Services:
    if len(link_key) < LINK_KEY_BYTES_MIN:
        raise ConfigError("link_key_short", f"The key of link tokens needs {LINK_KEY_BYTES_MIN} bytes.")
    tickets = Tickets()
    by_subject = KeyedBuckets(limits.joins_per_s, limits.joins_burst)
    door = Door(
        key=link_key,
        calls=registry,
        used=UsedLinks(config.data_dir, clock_s),
        tickets=tickets,
        clock_s=clock_s,
        require_rate=lambda subject: by_subject.require(subject, monotonic_s()),
    )
    return Services(
        config=config,
        calls=registry,
        vault=vault,
        voices=tuple(VoicePreset(name=v.name, title=v.title, description=v.description) for v in voices),
        door=door,
        tickets=tickets,
        references=VoiceReferences(),
        saved=SavedVoices(config.data_dir),
        limits=limits,
        joins_by_address=KeyedBuckets(limits.joins_per_s, limits.joins_burst),
        uploads_by_subject=KeyedBuckets(limits.uploads_per_s, limits.uploads_burst),
        saved_by_subject=KeyedBuckets(limits.saved_per_s, limits.saved_burst),
        metrics=WireMetrics(prometheus),
        prometheus=prometheus,
        clock_s=clock_s,
        monotonic_s=monotonic_s,
    )


async def _leave(app: web.Application) -> None:
    """Tell every socket before the server goes: closing code 1001."""
    for socket in list(app[SERVICES].sockets):
        socket.leave("going_away", "The server is stopping. Call again in a moment.")


async def _sweeping(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(_sweep(app[SERVICES]))
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _sweep(services: Services) -> None:
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        services.sweep()


@contextlib.asynccontextmanager
async def serve(app: web.Application, *, host: str, port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Listen on `host` and `port` (0 takes any) and yield the bound port; leaving ends every socket, then the app.

    No access log is written: it would hold addresses. Raises ConfigError `port_taken` or `host_unusable`.
    """
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=tls)
        await _listen(site, host, port)
        yield _bound_port(runner)
    finally:
        await runner.cleanup()


async def _listen(site: web.TCPSite, host: str, port: int) -> None:
    try:
        await site.start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sentence = f"Port {port} is taken by another program. Stop it, or set MIRAGE_PORT to a free one."
            raise ConfigError("port_taken", sentence) from None
        sentence = f"Mirage cannot listen on {host}:{port} ({error.strerror}). Set MIRAGE_HOST or MIRAGE_PORT."
        raise ConfigError("host_unusable", sentence) from None


def _bound_port(runner: web.AppRunner) -> int:
    address = runner.addresses[0]
    return int(address[1])

"""Rules for every HTTP request: who may ask from where, what an error looks like, and the headers of every answer.

`app.py` installs the two middlewares and the header hook. Every error leaves as JSON with a code, a sentence and
whether trying again helps.
"""

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from mirage_rtc.errors import (
    BadInput,
    ConfigError,
    Forbidden,
    MirageError,
    NotFound,
    TooLarge,
    TooMany,
    Unauthorized,
    Unavailable,
)
from signaling.http_answers import Problem
from signaling.services import SERVICES, Services

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STATUS: dict[type[MirageError], int] = {
    ConfigError: 500,
    Unauthorized: 401,
    Forbidden: 403,
    BadInput: 400,
    TooLarge: 413,
    TooMany: 429,
    NotFound: 404,
    Unavailable: 503,
}
RETRY_AFTER_S = 5

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "font-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "connect-src 'self' {socket}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""No inline script, no foreign origin. `{socket}` is this host's WebSocket, which old Safari does not count as self."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(self), autoplay=(self), fullscreen=(self), geolocation=(), "
    "display-capture=(), usb=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def status_of(error: MirageError) -> int:
    """The HTTP status of an error, by its nearest known class; 500 for one that is none of them."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def json_response(value: msgspec.Struct, *, status: int = 200) -> web.Response:
    """A struct as JSON."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def problem(error: MirageError) -> web.Response:
    """An error as an answer."""
    body = Problem(code=error.code, sentence=error.sentence, retryable=error.retryable)
    response = json_response(body, status=status_of(error))
    if error.retryable:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if response.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


@web.middleware
async def coded_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost: whatever went wrong becomes a coded answer. Nothing of the request is logged but the kind of fault."""
    services = request.app[SERVICES]
    try:
        return await handler(request)
    except MirageError as error:
        return _refuse(services, error)
    except web.HTTPException as error:
        return _refuse_http(services, error)
    except Exception as error:  # noqa: BLE001  the last resort of the server; the traceback could quote the request
        logger.error("a request could not be served", extra={"fault": type(error).__name__})
        return _refuse(
            services, MirageError("internal", "Something failed inside the server. Its log has the kind of fault.")
        )


def _refuse(services: Services, error: MirageError) -> web.Response:
    services.metrics.refusals.labels(error.code).inc()
    return problem(error)


def _refuse_http(services: Services, error: web.HTTPException) -> web.StreamResponse:
    """aiohttp's own answers (unknown path, wrong method, bad upgrade) in our form; a redirect passes."""
    if error.status < 400:
        raise error
    known: dict[int, MirageError] = {
        404: NotFound("not_found", "There is nothing at this address."),
        405: BadInput("method_not_allowed", "This address does not take that method."),
        413: TooLarge("body_too_large", "This request has too large a body."),
    }
    fallback = BadInput("request_bad", "This request cannot be understood. Compare it with the API's description.")
    response = _refuse(services, known.get(error.status, fallback))
    response.set_status(error.status)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


@web.middleware
async def own_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a browser that acts for another site (RFC 6455 section 10.2); an allowed one gets its CORS headers."""
    origin = request.headers.get("Origin")
    if origin is None:
        return await handler(request)
    services = request.app[SERVICES]
    if not _is_own(origin, request, services) and origin not in services.config.allowed_origins:
        raise Forbidden(
            "origin_refused",
            "This site may not use this server. Open the server's own page, or allow the site's origin.",
        )
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        return web.Response(status=204)
    return await handler(request)


def _is_own(origin: str, request: web.Request, services: Services) -> bool:
    parts = urlsplit(origin)
    public_url = services.config.public_url
    if public_url is not None and origin == "{0.scheme}://{0.netloc}".format(urlsplit(public_url)):
        return True
    return parts.scheme in ("http", "https") and parts.netloc != "" and parts.netloc.lower() == request.host.lower()


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal `on_response_prepare`: what every answer carries, the error answers and the upgrade too."""
    headers = response.headers
    headers["Server"] = "mirage"  # not the versions of what it runs on
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    scheme = "wss" if request.secure or request.app[SERVICES].config.behind_proxy else "ws"
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY.format(socket=f"{scheme}://{request.host}"))
    headers.setdefault("Cache-Control", "no-store")
    if request.secure:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    _add_cors(request, response)


def _add_cors(request: web.Request, response: web.StreamResponse) -> None:
    origin = request.headers.get("Origin")
    if origin is None or origin not in request.app[SERVICES].config.allowed_origins:
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
    response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, DELETE"
    response.headers["Vary"] = "Origin"

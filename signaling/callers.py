"""Who is asking: the address for rate limits, the token, the session behind it. Used by every API module."""

from aiohttp import web

from signaling import auth
from signaling.admission import Entry
from signaling.calls import Call
from signaling.services import SERVICES, Services


def address(request: web.Request, services: Services) -> str:
    """The caller's address, for counting only; behind a proxy the one that the proxy saw (the last in its header)."""
    forwarded = request.headers.get("X-Forwarded-For", "") if services.config.behind_proxy else ""
    return forwarded.rpartition(",")[2].strip() or request.remote or ""


def token(request: web.Request) -> str:
    """The bearer token of a request; raises Unauthorized `token_missing`."""
    offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    return auth.bearer(request.headers.get("Authorization"), [name.strip() for name in offered])


def caller(request: web.Request) -> Call:
    """The live session of a request's resume token; raises Unauthorized."""
    return request.app[SERVICES].door.recall(token(request))


async def enter(request: web.Request, services: Services, *, link_only: bool = False) -> Entry:
    """Admit a request by link or resume token, within the join rate of its address."""
    services.joins_by_address.require(address(request, services), services.monotonic_s())
    presented = token(request)
    return await (services.door.join(presented) if link_only else services.door.enter(presented))

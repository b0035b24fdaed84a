"""Sessions over HTTP, the socket's upgrade, and the probes. Thin: each handler is one question to the session layer."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from mirage_rtc.errors import BadInput, NotFound, Unavailable
from signaling import peer_socket, views
from signaling.callers import caller, enter
from signaling.calls import Call
from signaling.http_answers import Admission, SessionView
from signaling.http_rules import json_response
from signaling.protocol import SUBPROTOCOL
from signaling.services import SERVICES

SIGNAL_PATH = "/v1/signal"


async def create_session(request: web.Request) -> web.Response:
    """`POST /v1/sessions`: exchange a link, once, for a session and its resume token."""
    services = request.app[SERVICES]
    entry = await enter(request, services, link_only=True)
    admission = Admission(
        session_id=entry.call.id,
        resume_token=entry.resume_token,
        resume_grace_s=services.config.resume_grace_s,
        signal_url=SIGNAL_PATH,
    )
    return json_response(admission, status=201)


async def show_session(request: web.Request) -> web.Response:
    """`GET /v1/sessions/{id}`: the state of one's own session."""
    call = _own(request)
    return json_response(SessionView(session_id=call.id, state=views.call_state(call, request.app[SERVICES])))


async def end_session(request: web.Request) -> web.Response:
    """`DELETE /v1/sessions/{id}`: end one's own session."""
    await _own(request).close("bye", "You ended the call.")
    request.app[SERVICES].sweep()
    return web.Response(status=204)


async def signal(request: web.Request) -> web.StreamResponse:
    """`GET /v1/signal`: the WebSocket. Refused before the upgrade without a good token, and before a link is used."""
    services = request.app[SERVICES]
    _require_upgrade(request)
    return await peer_socket.serve(request, await enter(request, services), services)


async def livez(_: web.Request) -> web.Response:
    """`GET /livez`: the process answers."""
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """`GET /readyz`: the engines are warm; 503 `engines_not_ready` until they are."""
    report = views.engines(request.app[SERVICES])
    if not report.ready:
        raise Unavailable("engines_not_ready", "The engines are starting. Try again in a few seconds.")
    return json_response(report)


async def metrics(request: web.Request) -> web.Response:
    """`GET /metrics`: the text exposition."""
    body = generate_latest(request.app[SERVICES].prometheus)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _require_upgrade(request: web.Request) -> None:
    """Raises BadInput `upgrade_needed` or `subprotocol_unknown`.

    aiohttp logs the subprotocols that it knows none of, and a token may be among them: it must never get that far.
    """
    offered = request.headers.get("Sec-WebSocket-Protocol")
    if offered is not None and SUBPROTOCOL not in [name.strip() for name in offered.split(",")]:
        raise BadInput("subprotocol_unknown", f"Offer the subprotocol {SUBPROTOCOL} beside the token's.")
    if not web.WebSocketResponse(protocols=(SUBPROTOCOL,)).can_prepare(request).ok:
        raise BadInput("upgrade_needed", "This address speaks WebSocket only. Connect with a WebSocket client.")


def _own(request: web.Request) -> Call:
    """The session of the token, if it is the one in the path: another one's existence is nobody's business."""
    call = caller(request)
    if call.id != request.match_info["id"]:
        raise NotFound("session_not_found", "There is no such session.")
    return call


ROUTES = (
    web.post("/v1/sessions", create_session),
    web.get("/v1/sessions/{id}", show_session),
    web.delete("/v1/sessions/{id}", end_session),
    web.get(SIGNAL_PATH, signal),
    web.get("/livez", livez),
    web.get("/readyz", readyz),
    web.get("/metrics", metrics),
)

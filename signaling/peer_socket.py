"""One signalling WebSocket: client messages become calls on the session, session events become messages.

`http_api.py` routes `/v1/signal` here. No media and no policy: what is allowed is the session's word, what is too much
is `limits.py`'s. A refused message is answered with its code and the call goes on.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from mirage_rtc.errors import BadInput, MirageError, TooLarge, TooMany, Unavailable
from mirage_rtc.session_events import Closed, Notice, SessionEvent
from signaling import protocol, tickets, views
from signaling.admission import Entry
from signaling.dispatch import Dispatch, offer_too_large
from signaling.limits import SocketBudget
from signaling.outbox import Outbox
from signaling.services import Services

logger = logging.getLogger(__name__)

HEARTBEAT_S = 10.0
CLOSE_WAIT_S = 2.0
"""How long a closing handshake may take: a dead client must not hold up the server's end."""
STATS_EVERY_S = 1.0
CLOSE_CODES = {"going_away": WSCloseCode.GOING_AWAY, "bye": WSCloseCode.OK, "client_stuck": WSCloseCode.TRY_AGAIN_LATER}
"""Closing codes by reason; every other reason is a policy violation (RFC 6455 section 7.4.1)."""


class PeerSocket:
    """One open socket of one session."""

    def __init__(
        self, *, socket: web.WebSocketResponse, request: web.Request, entry: Entry, services: Services
    ) -> None:
        """`socket` is prepared; `run` does the rest."""
        self._socket = socket
        self._request = request
        self._entry = entry
        self._call = entry.call
        self._services = services
        self._limits = services.limits
        self._outbox = Outbox()
        self._budget = SocketBudget(services.limits, services.monotonic_s())
        self._window = services.window(entry.call)
        self._dispatch = Dispatch(
            call=entry.call, services=services, outbox=self._outbox, reply=self._put, verdict=self._on_chunk
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: asyncio.Task[None] | None = None
        self._greeted = False
        self._left = False
        self._close_code = int(WSCloseCode.POLICY_VIOLATION)
        self._last_state: protocol.State | None = None
        self._emit = self._on_event  # one object: the session compares it when it detaches

    async def run(self) -> None:
        """Serve the socket until it closes, whoever closes it."""
        writer = asyncio.create_task(self._write())
        self._spawn(self._require_hello())
        try:
            await self._read()
        finally:
            self._call.detach(self._emit)
            await self._end(writer)

    def leave(self, code: str, sentence: str) -> None:
        """Send `closing` and close; messages that come after are not looked at. The first reason counts."""
        if self._left:
            return
        self._left = True
        self._close_code = int(CLOSE_CODES.get(code, WSCloseCode.POLICY_VIOLATION))
        self._outbox.seal(protocol.encode(protocol.Closing(code=code, sentence=sentence)))

    async def _end(self, writer: asyncio.Task[None]) -> None:
        self.leave("going_away", "The connection was closed.")
        for task in self._tasks:
            task.cancel()
        ending = () if self._ending is None else (self._ending,)
        await asyncio.gather(writer, *ending, *self._tasks, return_exceptions=True)
        await self._dispatch.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()):
            logger.error("a task of a socket failed", extra={"fault": type(fault).__name__})

    async def _write(self) -> None:
        """The only place that sends. A client that takes nothing for `send_stuck_s` is cut off."""
        while (frame := await self._outbox.take()) is not None:
            if not await self._send(frame):
                return
        await self._socket.close(code=self._close_code)

    async def _send(self, frame: str | bytes) -> bool:
        try:
            async with asyncio.timeout(self._limits.send_stuck_s):
                await (self._socket.send_str(frame) if isinstance(frame, str) else self._socket.send_bytes(frame))
        except (TimeoutError, ConnectionError):
            if self._request.transport is not None:
                self._request.transport.abort()
            return False
        return True

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.ERROR or self._left:
                return
            await self._take(message)
            await asyncio.sleep(0)  # a flood already buffered must not hold the loop

    async def _take(self, message: WSMessage) -> None:
        data: str | bytes = message.data
        binary = message.type is WSMsgType.BINARY
        try:
            self._budget.require(len(data), self._services.monotonic_s())
            if isinstance(data, bytes):
                self._dispatch.take_chunk(data)
                return
            await self._act(self._decode(data))
        except MirageError as error:
            self._refuse(error, "chunk" if binary else protocol.tag_of(data))
        except Exception as error:  # noqa: BLE001  a fault in one call must not end it silently, or any other
            logger.error("a message could not be served", extra={"fault": type(error).__name__})
            self._refuse(_fault(), protocol.tag_of(data))
        else:
            self._judge(None)

    def _decode(self, text: str) -> protocol.ClientMessage:
        """Sizes first: what is too large is not read beyond its type."""
        if len(text) > self._limits.message_bytes:
            raise self._oversized(protocol.tag_of(text))
        message = protocol.decode(text)
        self._services.metrics.messages.labels(message.__struct_config__.tag).inc()
        return message

    def _oversized(self, tag: str | None) -> TooLarge:
        if tag == "offer":
            return offer_too_large(self._limits)
        return TooLarge(
            "message_too_large", f"A control message has at most {self._limits.message_bytes} bytes; this was dropped."
        )

    async def _act(self, message: protocol.ClientMessage) -> None:
        if isinstance(message, protocol.Hello):
            self._welcome(message)
            return
        if not self._greeted:
            raise BadInput("hello_missing", "The first message of a socket is `hello` with the protocol version.")
        await self._dispatch.act(message)

    def _welcome(self, hello: protocol.Hello) -> None:
        if hello.version != protocol.VERSION:
            sentence = f"This server speaks protocol version {protocol.VERSION}. Reload the page to get its client."
            self.leave("version_unsupported", sentence)
            return
        if self._greeted:
            raise BadInput("message_bad", "`hello` was sent already; it opens a socket once.")
        if self._call.id not in self._services.calls.sessions:  # it ended between the upgrade and now
            gone = tickets.unknown()
            self.leave(gone.code, gone.sentence)
            return
        self._greeted = True
        self._call.attach(self._emit)  # only now: a socket that says nothing throws no other out
        self._last_state = views.state(self._call, self._services)
        self._put(views.welcome(self._entry, self._services))
        self._spawn(self._tick())

    async def _require_hello(self) -> None:
        await asyncio.sleep(self._limits.hello_s)
        if not self._greeted:
            self.leave("hello_missing", "No `hello` came. Reload the page.")

    def _on_chunk(self, error: MirageError | None) -> None:
        if error is None:
            self._judge(None)
        else:
            self._refuse(error, "chunk")

    def _refuse(self, error: MirageError, about: str | None) -> None:
        self._services.metrics.refusals.labels(error.code).inc()
        failure = protocol.Failure(code=error.code, sentence=error.sentence, retryable=error.retryable, about=about)
        self._put(failure)
        self._judge(error)

    def _judge(self, error: MirageError | None) -> None:
        """Malformed, oversized and too frequent messages count against the session; refusals of the call do not."""
        spoilt = self._window.judge(not isinstance(error, BadInput | TooLarge | TooMany))
        if spoilt and self._ending is None:
            sentence = "More than 30 % of the last 200 messages could not be used, so the call was ended."
            self._ending = asyncio.create_task(self._call.close("too_many_invalid", sentence))

    def _put(self, message: protocol.ServerMessage) -> None:
        try:
            self._outbox.put("control", protocol.encode(message))
        except TooMany as error:
            self.leave(error.code, error.sentence)

    def _on_event(self, event: SessionEvent) -> None:
        if isinstance(event, Closed):
            self.leave(event.code, event.sentence)
        elif isinstance(event, Notice):
            self._put(protocol.Notice(code=event.code, sentence=event.sentence, severity=event.severity))
        else:
            self._put_state()

    def _put_state(self) -> None:
        if not self._greeted:
            return
        state = views.state(self._call, self._services)
        if state != self._last_state:
            self._last_state = state
            self._outbox.put("state", protocol.encode(state))

    async def _tick(self) -> None:
        """Once a second the figures, and the state if it moved without an event (an engine that restarts)."""
        while True:
            self._put_state()
            self._outbox.put("stats", protocol.encode(views.stats(self._call)))
            await asyncio.sleep(STATS_EVERY_S)


def _fault() -> Unavailable:
    return Unavailable("internal", "Something failed inside the server. Try again; its log has the kind of fault.")


async def serve(request: web.Request, entry: Entry, services: Services) -> web.WebSocketResponse:
    """Upgrade an admitted request and serve its socket."""
    socket = web.WebSocketResponse(
        heartbeat=HEARTBEAT_S,
        timeout=CLOSE_WAIT_S,
        max_msg_size=services.limits.frame_bytes,
        compress=False,
        protocols=(protocol.SUBPROTOCOL,),
    )
    await socket.prepare(request)
    peer = PeerSocket(socket=socket, request=request, entry=entry, services=services)
    services.sockets.add(peer)
    services.metrics.sockets.inc()
    try:
        await peer.run()
    finally:
        services.sockets.discard(peer)
        services.metrics.sockets.dec()
    return socket

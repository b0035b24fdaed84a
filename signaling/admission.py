"""The door: a link token opens a session once, a resume token re-enters it. `http_api.py` and `peer_socket.py` knock.

The order matters: a link is reserved before the session is opened (two presenters cannot both win), kept on disk before
the caller hears of it, and let go again when no session came of it (a full server does not burn a link).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from mirage_rtc.errors import NotFound, Unauthorized
from signaling import auth, tickets
from signaling.auth import LinkClaims
from signaling.calls import Call, Calls
from signaling.tickets import Tickets
from signaling.used_links import UsedLinks


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A caller let in."""

    call: Call
    resume_token: str


class Door:
    """Turns tokens into sessions."""

    def __init__(
        self,
        *,
        key: bytes,
        calls: Calls,
        used: UsedLinks,
        tickets: Tickets,
        clock_s: Callable[[], float],
        require_rate: Callable[[str], None],
    ) -> None:
        """`key` is `auth.link_key`'s; `clock_s` is wall time in s; `require_rate(subject)` raises TooMany."""
        self._key = key
        self._calls = calls
        self._used = used
        self._tickets = tickets
        self._clock_s = clock_s
        self._require_rate = require_rate

    async def enter(self, token: str) -> Entry:
        """Open a session with a link, or re-enter one with its resume token; raises MirageError."""
        if auth.is_link(token):
            return await self.join(token)
        call = self.recall(token)
        self._require_rate(call.subject)
        return Entry(call=call, resume_token=token)

    async def join(self, token: str) -> Entry:
        """Open a session with a link token, once."""
        claims = auth.verify(self._key, token, self._clock_s())
        self._require_rate(claims.subject)
        self._used.reserve(claims)
        try:
            call = await self._admit(claims)
        except BaseException:  # a cancelled request too: no session came of the link
            self._used.release(claims)
            raise
        return Entry(call=call, resume_token=self._tickets.issue(call.id))

    async def _admit(self, claims: LinkClaims) -> Call:
        call = await self._calls.admit(subject=claims.subject, grants=claims.grants)
        try:
            await asyncio.to_thread(self._used.commit, claims)
        except BaseException:  # nobody will ever hear of this session
            await call.close("not_joined", "The call could not be opened.")
            raise
        return call

    def recall(self, token: str) -> Call:
        """The live session of a resume token; raises Unauthorized."""
        if auth.is_link(token):
            raise Unauthorized(
                "resume_needed", "This asks for a resume token. Exchange the link at POST /v1/sessions first."
            )
        session_id = self._tickets.redeem(token)
        try:
            return self._calls.get(session_id)
        except NotFound:
            raise tickets.unknown() from None

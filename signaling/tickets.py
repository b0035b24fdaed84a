"""Resume tokens: what a page keeps to come back to its own session after a reload or a lost network.

Opaque, 256 bits, held only as a hash, one per session, and dead when the session is. A link that was copied after use
is not one of these, so it opens nothing. `admission.py` issues and redeems them.
"""

import hashlib
import secrets
from collections.abc import Collection

from mirage_rtc.errors import Unauthorized

TOKEN_BYTES = 32


class Tickets:
    """Resume tokens of this process, by hash."""

    def __init__(self) -> None:
        """Empty: sessions do not outlive the process either."""
        self._session_ids: dict[bytes, str] = {}

    def __len__(self) -> int:
        """How many tokens are alive."""
        return len(self._session_ids)

    def issue(self, session_id: str) -> str:
        """A token for `session_id`; the only copy of its text is the returned one."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._session_ids[_digest(token)] = session_id
        return token

    def redeem(self, token: str) -> str:
        """The session id that `token` re-enters, any number of times; raises Unauthorized `resume_unknown`."""
        session_id = self._session_ids.get(_digest(token))
        if session_id is None:
            raise unknown()
        return session_id

    def keep(self, session_ids: Collection[str]) -> None:
        """Drop the tokens of every session not in `session_ids`."""
        self._session_ids = {digest: kept for digest, kept in self._session_ids.items() if kept in session_ids}


def unknown() -> Unauthorized:
    """The error of a token whose session is gone."""
    return Unauthorized(
        "resume_unknown", "This call has ended, or you were away too long. Open a new link to call again."
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", errors="replace")).digest()

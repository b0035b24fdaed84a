"""The links that were used: each opens one session, also across a restart. Written to the data directory.

`http_api.py` and `peer_socket.py` go through `admission.py`, which reserves a link, opens the session, and then either
commits the link or releases it: a server that is full does not burn a link.
"""

import os
from collections.abc import Callable
from pathlib import Path

from mirage_rtc.errors import TooMany, Unauthorized, Unavailable
from signaling.auth import LEEWAY_S, LinkClaims

FILE = "used_links"
KEPT_MAX = 20_000


class UsedLinks:
    """Replay cache of `jti`s until their `exp`; one line `<exp> <jti>` a link on disk, 0600."""

    def __init__(self, data_dir: Path, clock_s: Callable[[], float]) -> None:
        """`clock_s` is wall time in seconds, as tokens carry it."""
        self._path = data_dir / FILE
        self._clock_s = clock_s
        self._until_s: dict[str, int] = _load(self._path)
        self._forget_expired()
        self._rewrite()

    def reserve(self, claims: LinkClaims) -> None:
        """Hold a link against a second use; raises Unauthorized `token_used`."""
        if claims.jti in self._until_s:
            raise Unauthorized(
                "token_used", "This link was used already; a link opens one call. Ask for a new one to join again."
            )
        if len(self._until_s) >= KEPT_MAX:
            self._forget_expired()
        if len(self._until_s) >= KEPT_MAX:
            raise TooMany("rate_limited", "Too many links were used in the last minutes. Try again in ten minutes.")
        self._until_s[claims.jti] = claims.expires_s

    def commit(self, claims: LinkClaims) -> None:
        """Make the use survive a restart. Blocks for one small write; raises Unavailable when it cannot be kept."""
        line = f"{claims.expires_s} {claims.jti}\n".encode()
        try:
            _append(self._path, line)
        except OSError:
            raise Unavailable(
                "links_unwritable", "The server cannot write to its data directory. Free space there and try again."
            ) from None

    def release(self, claims: LinkClaims) -> None:
        """Let the link be used again: no session came of it."""
        self._until_s.pop(claims.jti, None)

    def _forget_expired(self) -> None:
        now_s = self._clock_s()
        self._until_s = {jti: until_s for jti, until_s in self._until_s.items() if until_s + LEEWAY_S > now_s}

    def _rewrite(self) -> None:
        """Compact the file at start-up, atomically."""
        fresh = self._path.with_name(f"{FILE}.new")
        fresh.unlink(missing_ok=True)
        lines = "".join(f"{until_s} {jti}\n" for jti, until_s in self._until_s.items())
        _append(fresh, lines.encode())
        fresh.replace(self._path)


def _append(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _load(path: Path) -> dict[str, int]:
    """Read what was kept; a line torn by a crash is skipped, its link was never answered."""
    if not path.exists():
        return {}
    pairs = (line.split(" ", 1) for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return {pair[1]: int(pair[0]) for pair in pairs if len(pair) == 2 and pair[0].isdigit()}

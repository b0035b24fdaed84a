"""Link tokens: minting, verifying, and finding one in a request. No I/O and no clock of its own.

A token is a JWT signed with HS256 under a key derived from the data directory's secret (`link_key`). The process that
verifies is the one that mints, so a key pair would buy nothing; and with one symmetric algorithm pinned, a public key
can never be passed off as a secret (RFC 8725 section 2.1). `admission.py` verifies, the command line mints.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jwt
import msgspec

from mirage_rtc.errors import ConfigError, Unauthorized
from mirage_rtc.grants import Grants
from mirage_rtc.signing_key import derive
from signaling.protocol import TOKEN_SUBPROTOCOL_PREFIX

ALGORITHM = "HS256"
AUDIENCE = "mirage-rtc"
TOKEN_TYPE = "mirage-link+jwt"
TTL_MAX_S = 600
LEEWAY_S = 5
KEY_PURPOSE = "link tokens"
TOKEN_CHARS_MAX = 4_096

_REQUIRED = ["exp", "iat", "aud", "sub", "jti"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkClaims:
    """What a verified link says."""

    subject: str
    grants: Grants
    jti: str
    expires_s: int


class _Payload(msgspec.Struct, frozen=True):
    sub: str
    jti: str
    iat: int
    exp: int
    grants: Grants = Grants()


def link_key(signing_key: bytes) -> bytes:
    """The 32-byte key of link tokens, from the installation's one secret (`mirage_rtc.signing_key`)."""
    return derive(signing_key, KEY_PURPOSE)


def mint(key: bytes, subject: str, grants: Grants, ttl_s: int, now_s: float) -> str:
    """A link token for `subject`; `ttl_s` is 1 to 600 s and limits joining, not the call."""
    if not 0 < ttl_s <= TTL_MAX_S:
        raise ConfigError("token_ttl_bad", f"A link lives 1 to {TTL_MAX_S} seconds; {ttl_s} was asked for.")
    issued_s = int(now_s)
    payload: dict[str, Any] = {
        "sub": subject,
        "aud": AUDIENCE,
        "iat": issued_s,
        "exp": issued_s + ttl_s,
        "jti": secrets.token_urlsafe(16),
        "grants": msgspec.to_builtins(grants),
    }
    return jwt.encode(payload, key, algorithm=ALGORITHM, headers={"typ": TOKEN_TYPE})


def verify(key: bytes, token: str, now_s: float) -> LinkClaims:
    """Check signature, type, audience, required claims and times; raises Unauthorized with a code for each."""
    payload = _read(key, token)
    if payload.exp - payload.iat > TTL_MAX_S or payload.iat > now_s + LEEWAY_S or not payload.sub or not payload.jti:
        raise _bad()
    if now_s >= payload.exp + LEEWAY_S:
        raise Unauthorized(
            "token_expired", "This link has expired. Ask for a new one, or run `mirage-rtc token` on the server."
        )
    return LinkClaims(subject=payload.sub, grants=payload.grants, jti=payload.jti, expires_s=payload.exp)


def _read(key: bytes, token: str) -> _Payload:
    """The signed content. Times are compared by the caller, whose clock is injected."""
    options: Any = {"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
    if len(token) > TOKEN_CHARS_MAX:
        raise _bad()
    try:
        parts = jwt.decode_complete(token, key, algorithms=[ALGORITHM], audience=AUDIENCE, options=options)
    except jwt.InvalidAudienceError:
        raise Unauthorized(
            "token_wrong_audience", "This token was made for another service. Use a link from this server."
        ) from None
    except (jwt.InvalidTokenError, RecursionError):  # the header is JSON from a stranger
        raise _bad() from None
    if parts["header"].get("typ") != TOKEN_TYPE:
        raise _bad()
    try:
        return msgspec.convert(parts["payload"], _Payload)
    except msgspec.ValidationError:
        raise _bad() from None


def _bad() -> Unauthorized:
    return Unauthorized("token_bad", "This link is damaged or was not made by this server. Copy the whole link again.")


def is_link(token: str) -> bool:
    """Whether a bearer token has the shape of a link token; a resume token has no dots."""
    return token.count(".") == 2


def bearer(authorization: str | None, subprotocols: Iterable[str] = ()) -> str:
    """The token of a request: of `Authorization: Bearer`, or of the subprotocol `bearer.<token>`. Never of a URL.

    Raises Unauthorized `token_missing`.
    """
    scheme, _, value = (authorization or "").strip().partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    for offered in subprotocols:
        if offered.startswith(TOKEN_SUBPROTOCOL_PREFIX) and len(offered) > len(TOKEN_SUBPROTOCOL_PREFIX):
            return offered.removeprefix(TOKEN_SUBPROTOCOL_PREFIX)
    raise Unauthorized("token_missing", "No token came with this request. Open the link that the server printed.")

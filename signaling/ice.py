"""ICE, outside the media stack: TURN credentials for the caller, and which of its candidates may be contacted.

A candidate names an address that this server will send packets to, so a hostile one makes the server knock on doors
inside its own network. `peer_socket.py` filters every trickled candidate and every one inside an offer.
"""

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Sequence

from mirage_rtc.errors import TooMany
from signaling.protocol import IceServer

_TRANSLATED = tuple(
    ipaddress.ip_network(block) for block in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
"""NAT64, 6to4, Teredo: IPv6 that carries an IPv4 address past an IPv4 rule (RFC 6052, 3056, 4380)."""
_PRIVATE = tuple(
    ipaddress.ip_network(block)
    for block in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "::1/128",
        "fc00::/7",
    )
)
"""Loopback (RFC 6890), private (RFC 1918, 4193) and carrier-grade NAT (RFC 6598)."""

_PREFIX = "candidate:"


def servers(
    urls: Sequence[str], secret: str | None, *, subject: str, ttl_s: int, now_s: float
) -> tuple[IceServer, ...]:
    """The iceServers of one caller, with TURN REST credentials that live `ttl_s`.

    `<expiry>:<name>` and its HMAC-SHA1 under the secret shared with coturn (draft-uberti-behave-turn-rest-00). The name
    is a hash of the subject: the TURN server's log need not know who called.
    """
    stun = tuple(url for url in urls if url.startswith("stun:"))
    turn = tuple(url for url in urls if not url.startswith("stun:"))
    found = (IceServer(urls=stun),) if stun else ()
    if not turn or secret is None:
        return found
    name = hashlib.sha256(subject.encode()).hexdigest()[:16]
    username = f"{int(now_s) + ttl_s}:{name}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return (*found, IceServer(urls=turn, username=username, credential=base64.b64encode(digest).decode()))


def may_contact(candidate: str, *, allow_private: bool) -> bool:
    """Whether the address in a candidate line (with or without `a=`) may be sent packets.

    Only literal unicast UDP addresses pass: no names (`.local` included), no link-local, multicast, unspecified or
    reserved ones, no IPv4 inside IPv6; private and loopback ones pass only with `allow_private`. Source: RFC 8445
    section 5.1 for the grammar, RFC 6890 for the special addresses.
    """
    fields = candidate.strip().removeprefix("a=").removeprefix(_PREFIX).split()
    if len(fields) < 8 or fields[2].lower() != "udp" or fields[6] != "typ":
        return False
    if not (fields[5].isascii() and fields[5].isdigit() and 0 < int(fields[5]) < 65_536):
        return False
    try:
        address = ipaddress.ip_address(fields[4])
    except ValueError:
        return False
    return _may_contact(address, allow_private=allow_private)


def _may_contact(address: ipaddress.IPv4Address | ipaddress.IPv6Address, *, allow_private: bool) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return False
    if any(address in block for block in _TRANSLATED if block.version == address.version):
        return False
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if any(address in block for block in _PRIVATE if block.version == address.version):
        return allow_private
    return address.is_global


def filter_offer(sdp: str, *, allow_private: bool, candidates_max: int) -> str:
    """The offer without the candidates that may not be contacted; raises TooMany beyond `candidates_max`."""
    lines = sdp.splitlines(keepends=True)
    if sum(line.startswith("a=" + _PREFIX) for line in lines) > candidates_max:
        raise too_many(candidates_max)
    kept = (
        line for line in lines if not line.startswith("a=" + _PREFIX) or may_contact(line, allow_private=allow_private)
    )
    return "".join(kept)


def too_many(candidates_max: int) -> TooMany:
    """The error of an offer with more candidates than are looked at."""
    return TooMany(
        "candidates_too_many", f"An offer may have {candidates_max} candidates; the rest is ignored. Restart the call."
    )

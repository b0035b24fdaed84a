"""Addresses: what ICE offers, on which ports, and what the answer says. Applied by `registry` and `rtc_leg`."""

import asyncio
import contextlib
import itertools
from typing import Any

import aioice.ice


def without_receiver_estimate(sdp: str) -> str:
    """The SDP without REMB and abs-send-time: upstream's estimator throttles a loss-free uplink to a quarter."""
    unwanted = ("goog-remb", "abs-send-time")
    return "".join(line for line in sdp.splitlines(keepends=True) if not any(word in line for word in unwanted))


def advertise(sdp: str, public_ips: tuple[str, ...]) -> str:
    """The SDP with each host candidate given once more for every public address (a 1:1 NAT keeps ports; RFC 8839)."""
    lines: list[str] = []
    for line in sdp.splitlines(keepends=True):
        lines.append(line)
        parts = line.split(" ")
        if line.startswith("a=candidate:") and "typ host" in line:
            lines += [" ".join([*parts[:4], ip, *parts[5:]]) for ip in public_ips if (":" in ip) == (":" in parts[4])]
    return "".join(lines)


def limit_udp_ports(loop: asyncio.AbstractEventLoop, low: int, high: int) -> None:
    """Bind every datagram socket of `loop` that asks for any port between `low` and `high`, both included."""
    create = loop.create_datagram_endpoint
    ports = itertools.cycle(range(low, high + 1))

    async def create_in_range(factory: Any, local_addr: Any = None, **options: Any) -> Any:
        if local_addr is None or local_addr[1] != 0:
            return await create(factory, local_addr=local_addr, **options)
        for _ in range(low, high + 1):
            with contextlib.suppress(OSError):
                return await create(factory, local_addr=(local_addr[0], next(ports)), **options)
        raise OSError("no free UDP port between MIRAGE_UDP_PORT_MIN and MIRAGE_UDP_PORT_MAX")

    setattr(loop, "create_datagram_endpoint", create_in_range)  # noqa: B010 - mypy refuses a plain assignment


def offer_loopback(enabled: bool) -> None:
    """Let ICE offer 127.0.0.1 too, for a server that listens on loopback only. Process-wide."""
    found = aioice.ice.get_host_addresses
    original = getattr(found, "original", found)

    def with_loopback(use_ipv4: bool = True, use_ipv6: bool = True) -> list[str]:
        return [*original(use_ipv4, use_ipv6), "127.0.0.1"]

    with_loopback.original = original  # type: ignore[attr-defined]
    aioice.ice.get_host_addresses = with_loopback if enabled else original

"""What ICE offers, on which ports, and what the answer says."""

import asyncio
from importlib.metadata import version

import aioice.ice
import pytest

from mirage_rtc.aiortc_private import READ_AT
from mirage_rtc.aiortc_private.addresses import (
    advertise,
    limit_udp_ports,
    offer_loopback,
    without_receiver_estimate,
)


def test_the_corrections_were_read_at_the_installed_versions() -> None:
    """A new aiortc or aioice must be read before it is used."""
    assert {name: version(name) for name in READ_AT} == READ_AT


def test_the_answer_loses_the_receiver_estimate_only() -> None:
    """REMB and abs-send-time lines go, everything else stays."""
    sdp = "v=0\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 nack pli\r\na=extmap:2 http://x/abs-send-time\r\n"

    assert without_receiver_estimate(sdp) == "v=0\r\na=rtcp-fb:96 nack pli\r\n"


def test_loopback_is_offered_on_demand() -> None:
    """Twice on and once off leaves upstream as it was."""
    original = aioice.ice.get_host_addresses
    offer_loopback(True)
    offer_loopback(True)
    assert aioice.ice.get_host_addresses(True, False).count("127.0.0.1") == 1
    offer_loopback(False)

    assert aioice.ice.get_host_addresses is original


def test_public_addresses_are_named_beside_host_candidates() -> None:
    """Every host candidate comes again with each public address of its family, port and rest unchanged."""
    sdp = "v=0\r\na=candidate:1 1 udp 2130706431 10.0.0.5 50000 typ host\r\na=end-of-candidates\r\n"
    named = advertise(sdp, ("203.0.113.7", "2001:db8::7")).splitlines()

    assert named[1:3] == [
        "a=candidate:1 1 udp 2130706431 10.0.0.5 50000 typ host",
        "a=candidate:1 1 udp 2130706431 203.0.113.7 50000 typ host",
    ]
    assert len(named) == 4


async def test_udp_ports_stay_in_their_range() -> None:
    """Sockets that ask for any port get one of the range, and a full range is an OSError."""
    loop = asyncio.get_running_loop()
    limit_udp_ports(loop, 41_730, 41_731)
    opened = [
        (await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)))[0]
        for _ in range(2)
    ]
    ports = {transport.get_extra_info("sockname")[1] for transport in opened}
    with pytest.raises(OSError, match="MIRAGE_UDP_PORT_MIN"):
        await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    for transport in opened:
        transport.close()

    assert ports == {41_730, 41_731}

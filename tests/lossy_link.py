"""A network that loses packets, between an aiortc peer of this process and its server: RTP and RTCP only.

Put around the sockets of the peer, so that what serves it is untouched. Used by `test_lossy_calls` and `loss_bench`.
"""

import random
from collections.abc import Callable
from typing import Any

from aiortc import RTCPeerConnection

Loses = Callable[[bytes], bool]
"""Whether this datagram is lost; asked once for each, in order."""


def nothing(_: bytes) -> bool:
    """A perfect network."""
    return False


class RandomLoss:
    """Loses a `share` (0..1) of all datagrams, in bursts of `burst` in a row; the same ones for the same seed."""

    def __init__(self, share: float, *, burst: int = 1, seed: int) -> None:
        self.seen = 0
        self.lost = 0
        self._begins = share / burst
        self._burst = burst
        self._left = 0
        self._random = random.Random(seed)

    def __call__(self, _: bytes) -> bool:
        self.seen += 1
        if self._left == 0 and self._random.random() < self._begins:
            self._left = self._burst
        if self._left == 0:
            return False
        self._left -= 1
        self.lost += 1
        return True


class LoseNext:
    """Loses as many of the next datagrams of a payload type as it is told to."""

    def __init__(self, payload_type: int) -> None:
        self.left = 0
        self.lost = 0
        self._payload_type = payload_type

    def __call__(self, datagram: bytes) -> bool:
        if self.left == 0 or datagram[1] & 0x7F != self._payload_type:
            return False
        self.left -= 1
        self.lost += 1
        return True


def is_media(datagram: bytes) -> bool:
    """RTP or RTCP, told from STUN and DTLS by its first byte (RFC 7983 §7)."""
    return bool(datagram) and 128 <= datagram[0] <= 191


class LossyLink:
    """The network of one connection, which must have gathered its candidates. What it loses may change at any time."""

    def __init__(self, connection: RTCPeerConnection) -> None:
        self.outgoing: Loses = nothing
        self.incoming: Loses = nothing
        transport: Any = connection.getTransceivers()[0].receiver.transport.transport
        for protocol in transport._connection._protocols:
            self._surround(protocol)

    def _surround(self, protocol: Any) -> None:
        receive, send = protocol.datagram_received, protocol.send_data

        def lossy_receive(data: bytes, address: Any) -> None:
            if not (is_media(data) and self.incoming(data)):
                receive(data, address)

        async def lossy_send(data: bytes, address: Any) -> None:
            if not (is_media(data) and self.outgoing(data)):
                await send(data, address)

        protocol.datagram_received, protocol.send_data = lossy_receive, lossy_send

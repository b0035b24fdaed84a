"""Who may send media to a call: the addresses that proved they know its ICE password, and nobody else. Put by `rtc_leg`
between the sockets of a peer connection and its DTLS transport, before the answer tells anyone where they are.

Upstream hands every datagram that is no STUN message to DTLS, whoever sent it: a stranger's ClientHello may win the
race for the handshake, and one empty datagram ends the call (rtcdtlstransport.py, `_recv_next`: `data[0]`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from aioice.ice import CandidatePair
from aiortc import RTCPeerConnection

Address = tuple[str, int]
MOST_PROVEN = 64
"""Addresses that one caller may send from: who knows the password could otherwise fill the memory by forging them."""


def guard(
    connection: RTCPeerConnection, *, on_refused: Callable[[str], None], on_check: Callable[[], None] = lambda: None
) -> None:
    """Guard all sockets of a connection that gathered its candidates.

    `on_refused` gets "stranger" or "malformed" for each datagram; `on_check` hears of every check of the peer's.
    """
    for transport in transports(connection):
        SourceGuard(transport._connection, on_refused, on_check)


def abort_sockets(connection: RTCPeerConnection) -> None:
    """Close every socket now, without a word to the peer: for a connection whose own close does not come to an end."""
    for transport in transports(connection):
        for socket in transport._connection._protocols:
            socket.transport.abort()


class SourceGuard:
    """The one ICE connection whose datagrams it looks at.

    A datagram that is no STUN message passes when its source is the far end of a pair on the same socket which is
    nominated or was checked successfully, or when the source sent a check with the right MESSAGE-INTEGRITY: DTLS may
    come right behind that, before our own check is answered, and a pair may be nominated anew (RFC 8445 §8.1.1, §12.2).
    """

    def __init__(self, ice: Any, on_refused: Callable[[str], None], on_check: Callable[[], None]) -> None:
        self._ice = ice
        self._on_refused = on_refused
        self._on_check = on_check
        self._source: tuple[Any, Address] | None = None
        self._proven: set[tuple[Any, Address]] = set()
        self._deliver: Callable[[bytes, int], None] = ice.data_received
        self._check_incoming: Callable[..., None] = ice.check_incoming
        ice.data_received, ice.check_incoming = self._data_received, self._authenticated_check
        while not ice._queue.empty():  # nobody was told yet where to send
            ice._queue.get_nowait()
            on_refused("stranger")
        for socket in ice._protocols:
            socket.datagram_received = partial(self._datagram_received, socket, socket.datagram_received)

    def _datagram_received(
        self, socket: Any, upstream: Callable[[bytes, Address], None], data: bytes, addr: Any
    ) -> None:
        """Let upstream look first: what it takes for no STUN message comes back through `_data_received`."""
        if not data:
            return self._on_refused("malformed")
        self._source = (socket, (addr[0], addr[1]))
        try:
            return upstream(data, addr)
        except Exception:  # noqa: BLE001 - its STUN parser raises whatever a stranger's bytes make it (struct.error)
            return self._on_refused("malformed")

    def _data_received(self, data: bytes, component: int) -> None:
        if self._may_send(*cast("tuple[Any, Address]", self._source)):
            self._deliver(data, component)
        else:
            self._on_refused("stranger")

    def _authenticated_check(self, message: Any, addr: Address, socket: Any) -> None:
        """Upstream calls this for a binding request whose USERNAME and MESSAGE-INTEGRITY are right."""
        if (socket, addr) not in self._proven and len(self._proven) >= MOST_PROVEN:
            return self._on_refused("stranger")
        self._proven.add((socket, addr))
        self._on_check()
        self._check_incoming(message, addr, socket)
        return _ask_again(socket, addr)

    def _may_send(self, socket: Any, source: Address) -> bool:
        if any(_is(pair, socket, source) for pair in self._ice._nominated.values()):
            return True
        if (socket, source) in self._proven:
            return True
        succeeded = CandidatePair.State.SUCCEEDED
        return any(pair.state is succeeded and _is(pair, socket, source) for pair in self._ice._check_list)


def _ask_again(socket: Any, addr: Address) -> None:
    """Send the checks of this address that wait for an answer once more (RFC 8445 §7.3.1.4): it can be reached now.

    Upstream goes on waiting, twice as long each time: up to 16 s after a network came back.
    """
    for transaction in list(socket.transactions.values()):
        if transaction._Transaction__addr == addr:
            socket.send_stun(transaction._Transaction__request, addr)


def transports(connection: RTCPeerConnection) -> list[Any]:
    """The ICE transports of a connection, upstream's own."""
    upstream: Any = connection
    return list(upstream._RTCPeerConnection__iceTransports)


def _is(pair: Any, socket: Any, source: Address) -> bool:
    return pair.protocol is socket and pair.remote_addr == source

"""A stranger on the network: sends datagrams to the media ports of a call it is no part of. For `test_source_guard`."""

import socket
from types import TracebackType
from typing import Any, Self

from aiortc import RTCPeerConnection

CLIENT_HELLO = b"\x16\xfe\xfd" + bytes(37)
"""The head of a DTLS 1.2 handshake record (RFC 6347 §4.1)."""
RTP = b"\x80\x60" + bytes(50)
SHORT_STUN = bytes.fromhex("0001001c2112a442") + bytes(12) + bytes.fromhex("802a0005") + bytes(24)
"""A binding request whose ICE-CONTROLLING has 5 bytes instead of 8: upstream's parser raises `struct.error`."""


def ice_of(connection: RTCPeerConnection) -> Any:
    """The aioice connection under the first transceiver."""
    return connection.getTransceivers()[0].receiver.transport.transport._connection


def ports_of(connection: RTCPeerConnection) -> list[tuple[str, int]]:
    """The local socket addresses of a connection."""
    return [each.transport.get_extra_info("sockname")[:2] for each in ice_of(connection)._protocols]


class Tap:
    """Remembers what reaches the queue that DTLS reads."""

    def __init__(self, connection: RTCPeerConnection) -> None:
        queue = ice_of(connection)._queue
        self.taken: list[bytes] = []
        self._put = queue.put_nowait
        queue.put_nowait = self._note

    def _note(self, item: Any) -> None:
        if item is not None:
            self.taken.append(item[0])
        self._put(item)


class Stranger:
    """One UDP socket of nobody's."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def send(self, connection: RTCPeerConnection, *datagrams: bytes) -> None:
        """Each datagram to each socket of `connection`."""
        for address in ports_of(connection):
            for datagram in datagrams:
                self._socket.sendto(datagram, address)

    def received(self) -> list[bytes]:
        """What came back so far."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(2048))
            except BlockingIOError:
                return found

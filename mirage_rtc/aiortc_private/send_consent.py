"""How long the peer may take to answer a check of its consent to be sent to (RFC 7675). Used by `rtc_leg`.

Upstream takes a check that is not answered within half a second for failed, and six in a row end the call: half a
minute of a slow path, or of a busy loop at either end, lost calls whose media flowed.
"""

from functools import partial
from typing import Any

from aiortc import RTCPeerConnection

from mirage_rtc.aiortc_private.source_guard import transports

REPEATS = 2
"""Of an unanswered check, after 0.5 and 1.5 s. Its answer counts for 3.5 s; the next check comes after 4 s or more."""


def wait_for_answers(connection: RTCPeerConnection) -> None:
    """Wait longer for consent on all sockets of a connection that gathered its candidates."""
    for transport in transports(connection):
        wait_for_checks(transport._connection)


def wait_for_checks(ice: Any) -> None:
    """The same for one ICE connection. Its other requests ask for upstream's own number of repeats and keep it."""
    for socket in ice._protocols:
        socket.request = partial(_request, socket.request)


async def _request(upstream: Any, *about: Any, retransmissions: int | None = None, **options: Any) -> Any:
    repeats = REPEATS if retransmissions == 0 else retransmissions
    return await upstream(*about, retransmissions=repeats, **options)

"""What waits to be sent on one socket. A slow client loses statistics and pictures, never makes another caller wait.

One lane a kind of message, each with its own bound and rule: control messages are all delivered or the client is given
up as stuck; of state, statistics and pictures only the newest waits; of sound the oldest goes first. `peer_socket.py`
and `chunk_socket.py` put, one writer task takes.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Literal

from mirage_rtc.errors import TooMany

Lane = Literal["control", "state", "sound", "picture", "stats"]
Frame = str | bytes
IsStale = Callable[[], bool]

CAPACITY: dict[Lane, int] = {"control": 512, "state": 1, "sound": 5, "picture": 1, "stats": 1}
"""Messages that may wait, by lane, in the order in which lanes are emptied; five sound chunks are a second."""


class Outbox:
    """Bounded queues in order of urgency."""

    def __init__(self) -> None:
        """Empty and open."""
        self._lanes: dict[Lane, deque[tuple[Frame, IsStale]]] = {lane: deque() for lane in CAPACITY}
        self._wake = asyncio.Event()
        self._last: Frame | None = None
        self._sealed = False

    def put(self, lane: Lane, frame: Frame, *, is_stale: IsStale = lambda: False) -> bool:
        """Queue a message; a full lane drops its oldest, but a full control lane raises TooMany `client_stuck`.

        `is_stale` is asked when the message would leave: what must not be sent any more is dropped there. Returns
        whether an older message made room.
        """
        if self._sealed:
            return False
        waiting = self._lanes[lane]
        full = len(waiting) >= CAPACITY[lane]
        if full and lane == "control":
            raise TooMany("client_stuck", "You do not read what the server sends. Connect again.")
        if full:
            waiting.popleft()
        waiting.append((frame, is_stale))
        self._wake.set()
        return full

    def seal(self, last: Frame) -> None:
        """Send what control messages wait, then `last`, then nothing more. The first seal counts."""
        if self._sealed:
            return
        self._sealed = True
        for lane in CAPACITY:
            if lane != "control":
                self._lanes[lane].clear()
        self._last = last
        self._wake.set()

    async def take(self) -> Frame | None:
        """The next message by urgency, or None after the last one."""
        while (frame := self._next()) is None:
            if self._sealed:
                return None
            self._wake.clear()
            await self._wake.wait()
        return frame

    def _next(self) -> Frame | None:
        for waiting in self._lanes.values():
            while waiting:
                frame, is_stale = waiting.popleft()
                if not is_stale():
                    return frame
        last, self._last = self._last, None
        return last

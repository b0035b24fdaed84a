"""One slot where the newest item wins: the bound of every video stage. Filled by a pump, emptied by one reader."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A one-slot queue. `put` never waits: it replaces what was not read and counts it in `dropped`."""

    def __init__(self) -> None:
        self._item: T | None = None
        self._filled = asyncio.Event()
        self.dropped = 0

    def put(self, item: T) -> None:
        """Leave `item`; an unread one is dropped."""
        if self._item is not None:
            self.dropped += 1
        self._item = item
        self._filled.set()

    async def get(self) -> T:
        """Wait for an item and take it."""
        while self._item is None:
            self._filled.clear()
            await self._filled.wait()
        item, self._item = self._item, None
        return item

    def clear(self) -> None:
        """Forget an unread item; this is not counted as a drop."""
        self._item = None

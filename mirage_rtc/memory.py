"""Gives the memory of calls that ended back to the system. Asked by `registry`.

A call's objects refer to each other (aiortc's transports, senders and receivers do), so that the collector frees them;
on its own it does so after some tens of calls, for it counts objects and not the pictures they hold. What it frees lies
between what lives in the arenas of several threads, and glibc keeps it: 30 MB after 25 calls.
"""

import asyncio
import ctypes
import gc
import os

PAUSE_S = 1.0
"""After the end of a call, so that all of it is free, and one round does for calls that end together."""


def trim() -> bool:
    """Have the C library give back the pages that it holds and nobody uses; False where it is not glibc.

    malloc_trim(3) walks all arenas: 3 to 5 ms for 70 MB, without the GIL.
    """
    trim_heaps = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim_heaps is None:
        return False
    trim_heaps(0)
    return True


class Housekeeping:
    """One round for every call that ended, and no more than one in `PAUSE_S`."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()

    def want(self) -> None:
        """Something that held much was let go of."""
        self._wanted.set()

    async def run(self) -> None:
        """Do the rounds until cancelled."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(PAUSE_S)
            self._wanted.clear()
            # Half a millisecond a call: what lived before the first one is frozen (`__main__`) and not looked at.
            gc.collect()
            await asyncio.to_thread(trim)

"""What calls leave behind goes back to the system soon, once for calls that end together, and only when one ended."""

import asyncio
import ctypes
import gc
import platform
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mirage_rtc import memory
from mirage_rtc.memory import PAUSE_S, Housekeeping, trim
from tests import virtual_time

_CHUNKS, _CHUNK_BYTES = 4000, 16_000


class _Knot:
    """Refers to itself: only the collector frees it."""

    def __init__(self) -> None:
        self.me = self


def test_what_refers_to_itself_is_freed_soon_after_it_was_let_go() -> None:
    """With the automatic collector off: it is the round that does it."""

    async def freed() -> tuple[bool, bool]:
        housekeeping = Housekeeping()
        rounds = asyncio.create_task(housekeeping.run())
        knot = weakref.ref(_Knot())
        await asyncio.sleep(60)
        before = knot() is None
        housekeeping.want()
        await asyncio.sleep(2 * PAUSE_S)
        rounds.cancel()
        return before, knot() is None

    gc.collect()
    gc.disable()
    try:
        assert virtual_time.run(freed()) == (False, True)
    finally:
        gc.enable()


async def _until(done: Callable[[], bool]) -> None:
    """A round's thread takes real time, in which the clock leaps on; bounded, so that it can fail."""
    for _ in range(200_000):
        if done():
            return
        await asyncio.sleep(0.01)


def test_calls_that_end_together_cost_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten ends in half a pause are one round; one that comes later is another."""
    rounds: list[None] = []
    monkeypatch.setattr(memory, "trim", lambda: rounds.append(None))

    async def ends() -> list[int]:
        housekeeping = Housekeeping()
        running = asyncio.create_task(housekeeping.run())
        for _ in range(10):
            housekeeping.want()
            await asyncio.sleep(PAUSE_S / 20)
        await _until(lambda: len(rounds) == 1)
        await asyncio.sleep(10 * PAUSE_S)
        together = len(rounds)
        housekeeping.want()
        await _until(lambda: len(rounds) > together)
        running.cancel()
        return [together, len(rounds)]

    assert virtual_time.run(ends()) == [1, 2]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_trimming_gives_back_what_lies_between_the_living() -> None:
    """64 MB in small pieces of which every hundredth lives: glibc keeps nearly all of them until it is told."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.argtypes = (ctypes.c_void_p,)
    pieces = [libc.malloc(_CHUNK_BYTES) for _ in range(_CHUNKS)]
    for piece in pieces:
        ctypes.memset(piece, 1, _CHUNK_BYTES)
    for number in np.flatnonzero(np.arange(_CHUNKS) % 100):
        libc.free(pieces[number])
    before = _resident_bytes()
    assert trim()
    after = _resident_bytes()
    for piece in pieces[::100]:
        libc.free(piece)

    assert before - after > _CHUNKS * _CHUNK_BYTES / 2


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096

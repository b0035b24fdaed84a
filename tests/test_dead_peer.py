"""Clients that are killed, and clients that come and go: nothing of them stays, and who comes back finds their call."""

import asyncio
import contextlib
import gc
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mirage_rtc import rtc_leg
from mirage_rtc.grants import Grants
from mirage_rtc.leg import Leg
from mirage_rtc.registry import Registry
from mirage_rtc.rtc_leg import RtcLeg
from mirage_rtc.session import Session
from models.engines import VoiceSettings
from tests.browser import ROOT
from tests.call_client import caller
from tests.call_parts import SHADE_B, registry
from tests.peers import only_loopback

CYCLES = 15
_POOLS = ("encode", "asyncio")
"""Threads that wait for the next call: as many as the pools have places, whoever came and went."""
WITHIN_S = 90.0
"""How long a loaded machine may take for what an idle one does in the 5 s that `SILENT_S` is chosen for."""


@pytest.fixture(autouse=True)
def loopback() -> Iterator[None]:
    """Every peer of these tests is on 127.0.0.1."""
    with only_loopback():
        yield


class Seats:
    """Who sits in the lanes: states that were opened there and not closed."""

    def __init__(self, calls: Registry) -> None:
        self.taken: set[tuple[str, str]] = set()
        self.ever = 0
        for lane in (calls._face_lanes[0], calls._voice_lanes[0]):
            self._watch(lane)

    def _watch(self, lane: Any) -> None:
        run = lane.run

        async def watched(job: Any, **options: Any) -> Any:
            done = await run(job, **options)
            name = type(job).__name__
            if name.startswith("Open"):
                self.taken.add((name.removeprefix("Open"), job.call_id))
                self.ever += 1
            elif name.startswith("Close"):
                self.taken.discard((name.removeprefix("Close"), job.call_id))
            return done

        lane.run = watched


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds."""

    tasks: int
    fds: int
    threads: int
    legs: int
    seats: int


def _held(seats: Seats) -> Held:
    gc.collect()
    legs = sum(type(each) in (RtcLeg, Leg) for each in gc.get_objects())
    fds = len(os.listdir("/proc/self/fd"))
    threads = sum(not thread.name.startswith(_POOLS) for thread in threading.enumerate())
    return Held(len(asyncio.all_tasks()), fds, threads, legs, len(seats.taken))


async def _until_held(seats: Seats, at_most: Held) -> Held:
    """Wait until nothing more than `at_most` is held; what is held then, or at the end of the patience."""
    ends_s = time.monotonic() + WITHIN_S
    while (now := _held(seats)) and time.monotonic() < ends_s:
        if all(getattr(now, name) <= getattr(at_most, name) for name in Held.__slots__):
            break
        await asyncio.sleep(0.2)
    return now


def _fits(now: Held, before: Held) -> bool:
    return all(getattr(now, name) <= getattr(before, name) for name in Held.__slots__)


@contextlib.asynccontextmanager
async def _client_process(session: Session) -> AsyncIterator[asyncio.subprocess.Process]:
    """A caller's process in a call with `session`."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.piped_caller", cwd=ROOT, stdin=pipe, stdout=pipe, limit=1 << 20
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(180):
            answer = await session.negotiate(json.loads(await process.stdout.readline())["offer"])
            process.stdin.write(json.dumps({"answer": answer}).encode() + b"\n")
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def _told(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """What it saw and heard up to now."""
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(await process.stdout.readline())
    return told


async def _warmed_up(calls: Registry) -> None:
    """One call, so that the encoders' threads and aiortc's imports are there."""
    session = await calls.admit(subject="first", grants=Grants())
    async with caller() as peer:
        await peer.call(session)
        await peer.until(lambda: len(peer.shades) > 5 and len(peer.peaks) > 5)
    await calls._end(session, "bye", "Good-bye.")


async def test_a_killed_client_is_freed_and_its_person_kept(tmp_path: Path) -> None:
    """kill -9: the media is gone in some seconds with all it held; who comes back has their face and their voice."""
    async with registry(tmp_path, resume_grace_s="30") as (calls, _):
        seats = Seats(calls)
        await _warmed_up(calls)
        session = await calls.admit(subject="x", grants=Grants())
        await session.wear("mask:b")
        await session.set_voice(VoiceSettings(preset="robot"))
        before = await _until_held(seats, Held(99, 999, 99, 0, 0))
        async with _client_process(session) as process:
            await _told(process)
            assert len(seats.taken) == 2
            process.kill()
            killed_s = time.monotonic()
            await process.wait()
            while session.state().transport != "none":
                assert time.monotonic() - killed_s < WITHIN_S
                await asyncio.sleep(0.05)
        noticed_s = time.monotonic() - killed_s
        after = await _until_held(seats, before)
        print(f"noticed after {noticed_s:.2f} s, freed after {time.monotonic() - killed_s:.2f} s: {after}")  # noqa: T201
        assert _fits(after, before), (before, after)

        async with _client_process(session) as process:
            back = await _told(process)
            state = session.state()
            assert (state.identity, state.voice.preset) == ("mask:b", "robot")
            async with asyncio.timeout(180):
                while not (_is_b(back["shades"][-1]) and 0.05 < max(back["peaks"][-5:]) < 0.13):
                    back = await _told(process)  # a busy machine shows a card, and says nothing, for longer
            assert max(back["peaks"]) < 0.13  # the robot of the scripted engine is a third as loud
            assert not any(abs(shade - 128) < 12 for shade in back["shades"])


def _is_b(shade: int) -> bool:
    return abs(shade - SHADE_B) < 12


def test_the_dead_are_noticed_within_five_seconds() -> None:
    """Silence and one look of the watchdog leave half a second for a close that takes 5 ms; 4 s are ridden out."""
    assert rtc_leg.SILENT_S > 4.0
    assert rtc_leg.SILENT_S + rtc_leg.WATCH_S < 4.5


async def test_calls_that_come_and_go_leave_nothing(tmp_path: Path) -> None:
    """After the first ones, tasks, sockets, threads, legs and seats are as many after every call as before."""
    async with registry(tmp_path) as (calls, _):
        seats = Seats(calls)
        await _warmed_up(calls)
        before = await _until_held(seats, Held(99, 999, 99, 0, 0))
        for number in range(CYCLES):
            session = await calls.admit(subject=f"x{number}", grants=Grants())
            async with caller() as peer:
                await peer.call(session)
                await peer.until(lambda peer=peer: len(peer.shades) > 2)
            await calls._end(session, "bye", "Good-bye.")
        after = await _until_held(seats, before)

        assert len(calls.sessions) == 0
        assert seats.ever >= CYCLES
        assert _fits(after, before), (before, after)


async def test_two_quick_offers_leave_one_leg(tmp_path: Path) -> None:
    """Glare: both are answered in turn, the last one carries the call, the first one's ports and seats are free."""
    async with registry(tmp_path) as (calls, _), caller() as first, caller() as second:
        seats = Seats(calls)
        session = await calls.admit(subject="x", grants=Grants())
        await asyncio.gather(first.offer(), second.offer())
        await asyncio.gather(first.accept(session), second.accept(session))
        await second.until(lambda: len(second.shades) > 10)
        async with asyncio.timeout(WITHIN_S):
            while session._closing or len(seats.taken) > 2:  # noqa: ASYNC110 - what is waited for sets no event
                await asyncio.sleep(0.05)
        seen = len(second.shades)
        await second.until(lambda: len(second.shades) > seen + 10)
        await calls._end(session, "bye", "Good-bye.")

        assert seats.taken == set()


async def test_an_offer_while_the_former_leg_still_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A close that takes its time holds nobody up."""
    slow = asyncio.Event()
    close = RtcLeg.close

    async def late(leg: RtcLeg) -> None:
        await slow.wait()
        await close(leg)

    async with registry(tmp_path) as (calls, _), caller() as first, caller() as second:
        session = await calls.admit(subject="x", grants=Grants())
        await first.call(session)
        await first.until(lambda: len(first.shades) > 2)
        monkeypatch.setattr(RtcLeg, "close", late)
        await second.call(session)
        await second.until(lambda: len(second.shades) > 5)
        slow.set()
        await calls._end(session, "bye", "Good-bye.")
        assert not session._closing

"""Calls over a network that loses packets: the real server objects, a real peer with the product's receiving side.

Delays are compared with those of the same call before, by their lower quartile: a busy machine adds to some, a delay
that was ratcheted up adds to all, and never goes: what a busy machine may have spoilt is looked at again. To the
millisecond, and how long a picture stands still at most, is shown in virtual time (`test_loss_recovery`) and measured
by `bench.loss_bench`.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mirage_rtc import rtc_leg
from mirage_rtc.cushion import CUSHION_MAX_S
from mirage_rtc.grants import Grants
from mirage_rtc.session import Session
from tests.call_parts import registry
from tests.lossy_link import LoseNext, LossyLink, RandomLoss
from tests.peers import only_loopback
from tests.stamped_client import Figures, StampedClient, Timed

OPUS = 96
"""aiortc's payload type, which the answer repeats."""
NO_RATCHET_MS = 20 + 1000 * CUSHION_MAX_S
"""20 ms, and what the server may add by itself when this machine is busy."""


TRIES = 16


@dataclass(frozen=True, kw_only=True)
class LossyCall:
    """A call that passes face and voice through, in which all is well so far."""

    session: Session
    client: StampedClient
    link: LossyLink

    async def last(self, seconds: float) -> Figures:
        """What comes back from now on, for so long."""
        from_s = time.monotonic()
        await asyncio.sleep(seconds)
        return self.client.figures(from_s, time.monotonic())

    async def until(self, good: Callable[[Figures], bool], seconds: float) -> Figures:
        """What came back in the first so many seconds that are good, or in the last ones that were tried."""
        for _ in range(TRIES):
            figures = await self.last(seconds)
            if good(figures):
                break
        return figures

    def concealed_ms(self) -> float:
        """Of what the server heard."""
        assert self.session._rtc is not None
        return self.session._rtc._receivers["audio"].concealed_ms


@asynccontextmanager
async def lossy_call(data_dir: Path) -> AsyncIterator[LossyCall]:
    """Place it, and hang up."""
    with only_loopback():
        async with registry(data_dir) as (calls, _):
            session = await calls.admit(subject="tester", grants=Grants(passthrough=True))
            session.set_passthrough(face=True, voice=True)
            client = StampedClient(fps=8.0)  # what both ends cost is to be no more than a slow machine has
            try:
                await client.call(session.negotiate)
                await client.until_returned()
                await asyncio.sleep(1.5)
                yield LossyCall(session=session, client=client, link=LossyLink(client.connection))
            finally:
                await client.close()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that stands still for some seconds, loss is no silence of a dead peer's."""
    monkeypatch.setattr(rtc_leg, "SILENT_S", 60.0)
    monkeypatch.setattr(rtc_leg, "CONNECT_S", 60.0)


def _usual_ms(ages: Timed) -> float:
    return float(np.percentile([age_ms for _, age_ms in ages], 25)) if ages else math.inf


def _no_later(ages: Timed, before: Timed) -> bool:
    """Whether sound, or pictures, are as old as before."""
    return _usual_ms(ages) <= _usual_ms(before) + NO_RATCHET_MS


@pytest.mark.parametrize("direction", ["outgoing", "incoming"])
async def test_one_lost_packet_of_sound_costs_no_delay(tmp_path: Path, direction: str) -> None:
    """A second later the sound is as old as before; upstream's would be 200 ms older for ever."""
    async with lossy_call(tmp_path) as call:
        before = await call.until(lambda figures: bool(figures.audio_ms), 2.5)
        loses = LoseNext(OPUS)
        setattr(call.link, direction, loses)
        loses.left = 1
        await asyncio.sleep(1.0)
        after = await call.until(lambda figures: _no_later(figures.audio_ms, before.audio_ms), 2.5)
        concealed_ms = call.concealed_ms()

    assert loses.lost == 1
    assert concealed_ms >= 20 or direction == "incoming"
    assert _no_later(after.audio_ms, before.audio_ms), (before.audio_ms, after.audio_ms)


async def test_a_call_lives_with_loss_and_is_as_before_when_it_ends(tmp_path: Path) -> None:
    """1, 3 and 5 % both ways, then 2 % in bursts of five: pictures and sound go on, and nothing stays late."""

    def lives(figures: Figures) -> bool:
        return figures.fps >= 0.5 * before.fps and bool(figures.audio_ms)

    def recovers(figures: Figures) -> bool:
        if figures.fps < 0.75 * before.fps or not _no_later(figures.video_ms, before.video_ms):
            return False
        return _no_later(figures.audio_ms, before.audio_ms)

    async with lossy_call(tmp_path) as call:
        before = await call.until(lambda figures: bool(figures.audio_ms and figures.video_ms), 2.0)
        during = []
        for seed, (share, burst) in enumerate([(0.01, 1), (0.03, 1), (0.05, 1), (0.02, 5)]):
            call.link.outgoing = RandomLoss(share, burst=burst, seed=seed)
            call.link.incoming = RandomLoss(share, burst=burst, seed=seed + 10)
            during.append(await call.until(lives, 2.5))
        call.link.outgoing = call.link.incoming = RandomLoss(0.0, seed=0)
        await asyncio.sleep(1.0)
        after = await call.until(recovers, 2.0)
        concealed_ms = call.concealed_ms()

    assert concealed_ms >= 20
    assert [lives(figures) for figures in during] == [True] * 4
    assert recovers(after), (before, after)

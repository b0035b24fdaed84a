"""Calls over a network that loses packets: the real server objects, a real peer with the product's receiving side.

Delays are compared with those of the same call before, by their lower quartile: a busy machine adds to some, a delay
that was ratcheted up adds to all. To the millisecond, and how long a picture stands still at most, is shown in virtual
time (`test_loss_recovery`) and measured by `bench.loss_bench`.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mirage_rtc.cushion import CUSHION_MAX_S
from mirage_rtc.grants import Grants
from mirage_rtc.session import Session
from tests.call_parts import registry
from tests.lossy_link import LoseNext, LossyLink, RandomLoss
from tests.peers import only_loopback
from tests.stamped_client import StampedClient, Timed

OPUS = 96
"""aiortc's payload type, which the answer repeats."""
NO_RATCHET_MS = 20 + 1000 * CUSHION_MAX_S
"""20 ms, and what the server may add by itself when this machine is busy."""


@dataclass(frozen=True, kw_only=True)
class LossyCall:
    """A call that passes face and voice through, in which all is well so far."""

    session: Session
    client: StampedClient
    link: LossyLink

    async def last(self, seconds: float) -> tuple[float, float]:
        """From now on, for so long: two times of the monotonic clock."""
        from_s = time.monotonic()
        await asyncio.sleep(seconds)
        return from_s, time.monotonic()

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
            client = StampedClient()
            try:
                await client.call(session.negotiate)
                await client.until_returned()
                await asyncio.sleep(1.5)
                yield LossyCall(session=session, client=client, link=LossyLink(client.connection))
            finally:
                await client.close()


def _usual_ms(ages: Timed) -> float:
    return float(np.percentile([age_ms for _, age_ms in ages], 25))


@pytest.mark.parametrize("direction", ["outgoing", "incoming"])
async def test_one_lost_packet_of_sound_costs_no_delay(tmp_path: Path, direction: str) -> None:
    """A second later the sound is as old as before; upstream's would be 200 ms older for ever."""
    async with lossy_call(tmp_path) as call:
        before = await call.last(2.5)
        loses = LoseNext(OPUS)
        setattr(call.link, direction, loses)
        loses.left = 1
        await asyncio.sleep(1.0)
        after = await call.last(2.5)
        concealed_ms = call.concealed_ms()
    ages_before, ages_after = (call.client.figures(*times).audio_ms for times in (before, after))

    assert loses.lost == 1
    assert concealed_ms == (20 if direction == "outgoing" else 0)
    assert _usual_ms(ages_after) <= _usual_ms(ages_before) + NO_RATCHET_MS


async def test_a_call_lives_with_loss_and_is_as_before_when_it_ends(tmp_path: Path) -> None:
    """1, 3 and 5 % both ways, then 2 % in bursts of five: pictures and sound go on, and nothing stays late."""
    async with lossy_call(tmp_path) as call:
        before = await call.last(2.0)
        during = []
        for seed, (share, burst) in enumerate([(0.01, 1), (0.03, 1), (0.05, 1), (0.02, 5)]):
            call.link.outgoing = RandomLoss(share, burst=burst, seed=seed)
            call.link.incoming = RandomLoss(share, burst=burst, seed=seed + 10)
            during.append(await call.last(2.5))
        call.link.outgoing = call.link.incoming = RandomLoss(0.0, seed=0)
        await asyncio.sleep(1.0)
        after = await call.last(2.0)
        concealed_ms = call.concealed_ms()
    lossy = [call.client.figures(*times) for times in during]
    figures_before, figures_after = call.client.figures(*before), call.client.figures(*after)

    assert concealed_ms >= 20
    assert all(figures.fps >= 0.5 * figures_before.fps for figures in lossy)
    assert all(figures.audio_ms for figures in lossy)
    assert figures_after.fps >= 0.75 * figures_before.fps
    assert _usual_ms(figures_after.audio_ms) <= _usual_ms(figures_before.audio_ms) + NO_RATCHET_MS
    assert _usual_ms(figures_after.video_ms) <= _usual_ms(figures_before.video_ms) + NO_RATCHET_MS

"""Two real ICE connections of aioice, one of which answers late."""

import asyncio
from collections.abc import Iterator
from typing import Any

import aioice
import pytest

from mirage_rtc.aiortc_private.send_consent import wait_for_checks
from tests.peers import only_loopback

LATE_S = 0.8
CHECKS = 3


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Checks in quick succession, of which two that fail end a connection."""
    with only_loopback():
        monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.05)
        monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 2)
        yield


async def _pair() -> tuple[Any, Any]:
    ends = aioice.Connection(ice_controlling=True), aioice.Connection(ice_controlling=False)
    for end in ends:
        await end.gather_candidates()
    for end, other in (ends, ends[::-1]):
        for candidate in other.local_candidates:
            await end.add_remote_candidate(candidate)
        await end.add_remote_candidate(None)
        end.remote_username, end.remote_password = other.local_username, other.local_password
    return ends


def _answer_late(end: Any) -> None:
    """Whatever this end is asked it answers, after a while."""
    loop = asyncio.get_running_loop()
    for socket in end._protocols:
        send = socket.send_stun
        socket.send_stun = lambda message, addr, send=send: loop.call_later(LATE_S, send, message, addr)


@pytest.mark.parametrize("patient", [True, False])
async def test_a_check_that_is_answered_late_is_answered(*, patient: bool) -> None:
    """With upstream's half second the call ends; without an answer it ends here too."""
    asking, asked = await _pair()
    if patient:
        wait_for_checks(asking)
    await asyncio.gather(asking.connect(), asked.connect())
    asked._query_consent_task.cancel()  # one end that asks is enough
    _answer_late(asked)
    consent = asking._query_consent_task
    await asyncio.wait([consent], timeout=CHECKS * (LATE_S + 0.1))
    assert consent.done() is not patient
    await asyncio.gather(asking.close(), asked.close(), return_exceptions=True)


async def test_an_end_that_is_gone_has_not_consented(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked again, and then no more."""
    monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.01)
    asking, asked = await _pair()
    wait_for_checks(asking)
    await asyncio.gather(asking.connect(), asked.connect())
    await asked.close()
    async with asyncio.timeout(60):
        await asking._query_consent_task
    assert asking._query_consent_task is None

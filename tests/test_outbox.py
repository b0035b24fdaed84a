"""What waits for a slow client: the newest of what ages, all of what matters, nothing that went stale."""

import asyncio

import pytest

from mirage_rtc.errors import TooMany
from signaling.outbox import CAPACITY, Outbox


async def drained(outbox: Outbox) -> list[str | bytes]:
    outbox.seal("last")
    taken = []
    while (frame := await outbox.take()) is not None:
        taken.append(frame)
    return taken


async def test_messages_leave_by_urgency() -> None:
    """Control first, statistics last, whatever came first."""
    outbox = Outbox()
    outbox.put("stats", "stats")
    outbox.put("picture", b"picture")
    outbox.put("sound", b"sound")
    outbox.put("state", "state")
    outbox.put("control", "control")
    assert [await outbox.take() for _ in range(5)] == ["control", "state", b"sound", b"picture", "stats"]


async def test_a_slow_client_gets_the_newest_picture_and_the_last_second_of_sound() -> None:
    """What is dropped is counted."""
    outbox = Outbox()
    dropped = 0
    for n in range(8):
        dropped += outbox.put("picture", f"picture {n}") + outbox.put("sound", f"sound {n}")
    taken = [await outbox.take() for _ in range(6)]
    assert taken == [*(f"sound {n}" for n in range(3, 8)), "picture 7"]
    assert dropped == 10


async def test_a_client_that_reads_nothing_is_given_up() -> None:
    """Control messages are never dropped: a full lane means that nobody reads."""
    outbox = Outbox()
    for n in range(CAPACITY["control"]):
        outbox.put("control", str(n))
    with pytest.raises(TooMany) as caught:
        outbox.put("control", "one more")
    assert caught.value.code == "client_stuck"


async def test_what_went_stale_while_it_waited_is_never_sent() -> None:
    """Out of passthrough: a raw picture that waited behind a slow socket must not leave."""
    outbox = Outbox()
    stale = False
    outbox.put("picture", b"raw", is_stale=lambda: stale)
    stale = True
    outbox.put("control", "control")
    assert await outbox.take() == "control"
    waiting = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.put("picture", b"swapped")
    assert await waiting == b"swapped"


async def test_the_last_message_follows_the_control_messages_and_ends_the_box() -> None:
    """What ages is not sent to someone who leaves."""
    outbox = Outbox()
    outbox.put("stats", "stats")
    outbox.put("control", "error")
    outbox.seal("closing")
    outbox.put("control", "late")
    assert await drained(outbox) == ["error", "closing"]

"""The one-slot mailbox."""

import asyncio

from mirage_rtc.mailbox import Mailbox


async def test_newest_wins_and_the_overwritten_one_is_counted() -> None:
    """Of three items put before a read only the last is read; two were dropped."""
    box: Mailbox[int] = Mailbox()
    for item in (1, 2, 3):
        box.put(item)

    assert await box.get() == 3
    assert box.dropped == 2


async def test_a_reader_waits_for_the_next_item() -> None:
    """`get` on an empty box returns what is put later, once."""
    box: Mailbox[str] = Mailbox()
    reader = asyncio.create_task(box.get())
    await asyncio.sleep(0)

    assert not reader.done()
    box.put("x")

    assert await reader == "x"


async def test_clear_forgets_without_counting() -> None:
    """A cleared item is not read and is no drop."""
    box: Mailbox[int] = Mailbox()
    box.put(1)
    box.clear()
    box.put(2)

    assert await box.get() == 2
    assert box.dropped == 0

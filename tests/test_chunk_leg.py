"""The WebSocket fallback's media."""

import asyncio

import numpy as np
import pytest

from mirage_rtc.chunk_leg import ChunkMedia, ChunkOut
from mirage_rtc.errors import Unavailable
from tests.call_parts import Hands, lanes, leg_parts


async def _take(media: ChunkMedia, kind: str) -> ChunkOut:
    async with asyncio.timeout(60):
        while (out := await media.next()).kind != kind:
            pass
    return out


async def _take_both(media: ChunkMedia) -> tuple[ChunkOut, ChunkOut]:
    """The first sound and the first picture, whichever comes first."""
    first: dict[str, ChunkOut] = {}
    async with asyncio.timeout(60):
        while len(first) < 2:
            out = await media.next()
            first.setdefault(out.kind, out)
    return first["sound"], first["picture"]


async def test_sound_and_pictures_come_back_with_the_clients_capture_time() -> None:
    """Converted 192 ms chunks and swapped pictures carry the time the client stamped them with."""
    async with lanes() as (face, voice):
        media = ChunkMedia(leg_parts(face, voice, Hands()))
        for n in range(2):
            media.push_sound(np.full(3072, 0.4, np.float32), capture_us=5_000_000 + n * 192_000)
        media.push_picture(np.full((480, 640, 3), 128, np.uint8), capture_us=5_100_000)
        sound, shown = await _take_both(media)
        await media.close()

    assert sound.samples is not None
    assert np.allclose(sound.samples, 0.2)
    assert abs(sound.capture_us - 5_000_000) < 200_000
    assert shown.frame is not None
    assert shown.frame.shape == (480, 640, 3)


async def test_what_was_made_before_a_flush_is_stale() -> None:
    """The socket asks again just before it sends."""
    async with lanes() as (face, voice):
        media = ChunkMedia(leg_parts(face, voice, Hands()))
        media.push_picture(np.full((64, 64, 3), 128, np.uint8), capture_us=0)
        out = await _take(media, "picture")
        assert not media.is_stale(out)
        media.leg.video.flush()
        assert media.is_stale(out)
        await media.close()


async def test_a_reader_of_closed_media_is_told() -> None:
    """`next` ends with a code when the media moved elsewhere."""
    async with lanes() as (face, voice):
        media = ChunkMedia(leg_parts(face, voice, Hands()))
        reader = asyncio.create_task(media.next())
        await asyncio.sleep(0.01)
        await media.close()
        with pytest.raises(Unavailable) as closed:
            await reader

    assert closed.value.code == "chunks_closed"

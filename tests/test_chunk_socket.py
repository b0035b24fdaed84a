"""The media fallback over a real socket, with the client that other programs may copy."""

import asyncio
import contextlib
import io
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirage_rtc.errors import BadInput, MirageError, TooLarge
from models.engines import Samples
from signaling.chunk_frame import CHUNK_PICTURE, CHUNK_SOUND, Chunk, pack_chunk
from signaling.chunk_socket import ChunkOrder, read_pcm, write_pcm
from tests.chunk_client import PICTURE, SOUND, CallEnded, ChunkCall, chunk_call
from tests.fake_session import FakeCall, FakeLine
from tests.wire_server import WireServer, until, wire_server

Talk = tuple[WireServer, FakeCall, ChunkCall]


@contextlib.asynccontextmanager
async def talking(data_dir: Path) -> AsyncIterator[Talk]:
    """A server and a client whose chunk media is open."""
    async with wire_server(data_dir) as server, chunk_call(server.http, server.url, server.link()) as client:
        (call,) = server.calls.sessions.values()
        await call.chunks_opened.wait()
        yield server, call, client


def line_of(call: FakeCall) -> FakeLine:
    assert call.line is not None
    return call.line


def jpeg(width_px: int = 64, height_px: int = 48, *, progressive: bool = False) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width_px, height_px), (10, 10, 10)).save(buffer, "JPEG", progressive=progressive)
    return buffer.getvalue()


def jpeg_header(width_px: int, height_px: int) -> bytes:
    """A JPEG that claims a size and has no pixels: SOI, JFIF, SOF0 (ITU-T T.81 B.2.2), nothing more."""
    jfif = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0\1\1\0\0\1\0\1\0\0"
    sof0 = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height_px, width_px, 3) + b"\1\x22\0\2\x11\1\3\x11\1"
    return b"\xff\xd8" + jfif + sof0 + b"\xff\xda" + bytes(64)


def tone(samples: int = 3072) -> Samples:
    return np.asarray(np.sin(np.arange(samples) * 0.1), dtype=np.float32)


async def error_after(client: ChunkCall) -> dict[str, Any]:
    """The next error message."""
    async with asyncio.timeout(60):
        while not client.errors:
            client._take_message(await client._receive())
    return client.errors[-1]


async def test_sound_comes_back_converted_with_its_capture_time(tmp_path: Path) -> None:
    """What returns is numbered from 1 and can be matched with what was sent."""
    async with talking(tmp_path) as (_, _, client):
        assert client.welcome["limits"]["chunk_samples"] == 3072
        sent = write_pcm(tone())
        for n in range(3):
            await client.send_sound(sent, capture_us=1_000_000 + n * 192_000)
        got = [await anext(client) for _ in range(3)]
        assert [(kind, sequence) for kind, sequence, _, _ in got] == [(SOUND, 1), (SOUND, 2), (SOUND, 3)]
        assert [capture_us for _, _, capture_us, _ in got] == [1_000_000, 1_192_000, 1_384_000]
        np.testing.assert_allclose(read_pcm(got[0][3]), -read_pcm(sent), atol=1e-4)


@pytest.mark.parametrize("progressive", [False, True])
async def test_pictures_baseline_and_progressive_come_back_as_baseline(tmp_path: Path, progressive: bool) -> None:
    """Both are accepted, the simpler one is sent."""
    async with talking(tmp_path) as (_, call, client):
        await client.send_picture(jpeg(progressive=progressive), capture_us=5)
        kind, _, capture_us, payload = await anext(client)
        picture = Image.open(io.BytesIO(payload))
        assert (kind, capture_us, picture.size) == (PICTURE, 5, (64, 48))
        assert "progressive" not in picture.info
        assert np.asarray(picture).min() > 235  # inverted
        assert line_of(call).pictures == [((48, 64, 3), 5)]


BAD: list[tuple[str, bytes]] = [
    ("pcm_odd_length", pack_chunk(Chunk(CHUNK_SOUND, 1, 0, bytes(6_143)))),
    ("chunk_too_long", pack_chunk(Chunk(CHUNK_SOUND, 1, 0, bytes(12_802)))),
    ("chunk_bad", b"short"),
    ("chunk_bad", pack_chunk(Chunk(9, 1, 0, b"what"))),
    ("chunk_bad", pack_chunk(Chunk(CHUNK_PICTURE, 1, 0, b"\x89PNG\r\n\x1a\n" + bytes(64)))),
    ("picture_too_large", pack_chunk(Chunk(CHUNK_PICTURE, 1, 0, b"\xff\xd8\xff" + bytes(1024 * 1024)))),
    ("picture_too_large", pack_chunk(Chunk(CHUNK_PICTURE, 1, 0, jpeg_header(20_000, 10_000)))),
    ("picture_too_large", pack_chunk(Chunk(CHUNK_PICTURE, 1, 0, jpeg_header(1500, 1500)))),
    ("picture_corrupt", pack_chunk(Chunk(CHUNK_PICTURE, 1, 0, jpeg(512, 512)[:700]))),
]


@pytest.mark.parametrize(("code", "data"), BAD, ids=range(len(BAD)))
async def test_a_bad_chunk_is_a_coded_error_and_the_call_goes_on(tmp_path: Path, code: str, data: bytes) -> None:
    """A 200-megapixel header among them: refused before a pixel of it is allocated."""
    async with wire_server(tmp_path) as server, server.greeted(await server.join()) as socket:
        await socket.send_json({"type": "start_chunks"})
        await socket.send_bytes(data)
        error = await until(socket, "error")
        assert (error["code"], error["about"]) == (code, "chunk")
        assert error["sentence"].endswith(".")
        await socket.send_bytes(pack_chunk(Chunk(CHUNK_SOUND, 7, 0, bytes(640))))
        while (message := await socket.receive(timeout=60)).type.name != "BINARY":
            pass
        assert len(message.data) == 16 + 640
        text = await (await server.ask("GET", "/metrics")).text()
        assert f'mirage_wire_chunks_invalid_total{{code="{code}"}} 1.0' in text


async def test_chunks_before_start_chunks_are_refused(tmp_path: Path) -> None:
    """Media is not taken on a socket that did not ask for it."""
    async with wire_server(tmp_path) as server, server.greeted(await server.join()) as socket:
        await socket.send_bytes(pack_chunk(Chunk(CHUNK_SOUND, 1, 0, bytes(640))))
        assert (await until(socket, "error"))["code"] == "chunk_unexpected"


async def test_a_repeated_chunk_is_refused(tmp_path: Path) -> None:
    """The same sequence number twice: the second one reaches nobody."""
    async with talking(tmp_path) as (_, call, client):
        for _ in range(2):
            client._sequences[SOUND] = 4
            await client.send_sound(bytes(640), capture_us=0)
        await anext(client)
        assert (await error_after(client))["code"] == "chunk_bad"
        assert len(line_of(call).sounds) == 1


def test_capture_times_go_forward_about_as_fast_as_the_clock() -> None:
    """A pause of the client moves both; a jump of one alone is refused and changes nothing."""
    order = ChunkOrder()
    order.check(Chunk(1, 0, 9_000_000, b""), 100.0)
    order.check(Chunk(1, 1, 69_000_000, b""), 160.0)
    for sequence, capture_us in ((2, 68_999_999), (2, 80_000_001), (1, 69_000_000)):
        with pytest.raises(BadInput) as caught:
            order.check(Chunk(1, sequence, capture_us, b""), 160.0)
        assert caught.value.code == "chunk_bad"
    order.check(Chunk(1, 2, 69_100_000, b""), 160.1)


@pytest.mark.parametrize(("payload", "kind"), [(bytes(3), BadInput), (bytes(12_802), TooLarge)])
def test_pcm_that_is_none_is_refused(payload: bytes, kind: type[MirageError]) -> None:
    """Half a sample, or more than 400 ms."""
    with pytest.raises(kind):
        read_pcm(payload)


def test_pcm_there_and_back() -> None:
    """Full scale survives, what lies outside is clipped, what is not a number is silence."""
    odd = np.array([0.0, 0.5, 1.0, -1.0, 7.0, -7.0, np.nan], dtype=np.float32)
    np.testing.assert_allclose(read_pcm(write_pcm(odd)), [0, 0.5, 1, -1, 1, -1, 0], atol=1e-4)


async def test_of_waiting_pictures_the_newest_wins(tmp_path: Path) -> None:
    """A client that sends faster than is decoded gets fewer pictures, not later ones."""
    async with talking(tmp_path) as (_, call, client):
        picture = jpeg(1280, 960)
        for n in range(40):
            await client.send_picture(picture, capture_us=n)
        seen = [capture_us for _, _, capture_us, _ in [await anext(client)]]
        while seen[-1] != 39:
            seen.append((await anext(client))[2])
        assert seen == sorted(seen)
        assert len(line_of(call).pictures) < 40


async def test_media_that_went_stale_never_leaves(tmp_path: Path) -> None:
    """What was let out under passthrough and waits to be encoded is not sent after passthrough ended."""
    async with talking(tmp_path) as (_, call, client):
        line = line_of(call)
        line.generation = 1
        line.push_sound(tone(), capture_us=1)
        line.push_picture(np.zeros((48, 64, 3), np.uint8), capture_us=1)
        line.generation = 2
        line.push_sound(tone(), capture_us=2)
        assert (await anext(client))[2] == 2


async def test_an_offer_takes_the_media_back_to_webrtc(tmp_path: Path) -> None:
    """The fallback ends; a chunk that comes after it is refused."""
    async with talking(tmp_path) as (_, call, client):
        line = line_of(call)
        await client.send(type="offer", sdp="v=0\r\n")
        await client.send_sound(bytes(640), capture_us=0)
        assert (await error_after(client))["code"] == "chunk_unexpected"
        assert line.closed


async def test_the_socket_going_away_ends_the_media(tmp_path: Path) -> None:
    """The session itself waits for its owner."""
    async with wire_server(tmp_path) as server:
        async with chunk_call(server.http, server.url, server.link()) as client:
            await client.send_sound(bytes(640), capture_us=0)
            await anext(client)
            (call,) = server.calls.sessions.values()
            assert not line_of(call).closed
        async with asyncio.timeout(60):
            while not line_of(call).closed:  # noqa: ASYNC110 - a line sets no event
                await asyncio.sleep(0.01)
        assert call.id in server.calls.sessions


async def test_a_stream_of_rubbish_ends_the_session(tmp_path: Path) -> None:
    """The specification's rule over the chunk path: 61 bad of the last 200, good ones in between or not."""
    async with talking(tmp_path) as (server, _, client):
        for n in range(190):
            await client.send_sound(bytes(640 + (n % 3 == 0)), capture_us=0)
        with pytest.raises(CallEnded) as caught:
            async for _ in client:
                pass
        assert caught.value.code == "too_many_invalid"
        assert server.calls.sessions == {}

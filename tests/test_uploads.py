"""Bodies within bounds: what is too large is read to its end, what stalls is given up."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signaling import uploads
from tests.wire_server import wire_server

MIB = 2**20


async def pieces(count: int, sent: list[int]) -> AsyncIterator[bytes]:
    """A body of so many MiB, a piece at a time; `sent` counts them."""
    for _ in range(count):
        sent.append(1)
        yield bytes(MIB)


async def test_the_sender_of_too_much_is_heard_out_and_answered(tmp_path: Path) -> None:
    """All 40 pieces are taken although 12 are allowed, and the same connection serves the next request."""
    sent: list[int] = []
    async with wire_server(tmp_path) as server:
        token = await server.join()
        answer = await server.problem("POST", "/v1/voices/reference", token, data=pieces(40, sent))
        assert answer[:2] == (413, "clip_too_large")
        assert "12 MiB" in answer[2]
        assert len(sent) == 40
        async with server.ask("GET", "/livez") as response:
            assert response.status == 200


async def test_an_upload_that_stalls_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection held open costs a caller nothing and the server memory."""
    monkeypatch.setattr(uploads, "UPLOAD_S", 0.2)

    async def stalling() -> AsyncIterator[bytes]:
        yield b"RIFF"
        await asyncio.sleep(30)

    async with wire_server(tmp_path) as server:
        answer = await server.problem("POST", "/v1/voices/reference", await server.join(), data=stalling())
        assert answer[:2] == (400, "upload_stalled")

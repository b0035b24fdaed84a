"""Reference voices over HTTP, and their way into `set_voice`."""

import io
from pathlib import Path

import numpy as np
import pytest

from tests.test_wav import CODED, wav
from tests.wire_server import until, wire_server


async def test_a_clip_becomes_a_reference_that_the_voice_can_follow(tmp_path: Path) -> None:
    """The state names it; another caller cannot use the name."""
    async with wire_server(tmp_path) as server:
        token = await server.join()
        async with server.post("/v1/voices/reference", token, data=CODED["f32"]) as response:
            assert response.status == 201
            body = await response.json()
        assert body["title"] == "Your clip, 3 s"
        assert server.calls.measured == [(48_000, 16_000)]
        async with server.greeted(token) as socket:
            await socket.send_json({"type": "set_voice", "preset": "custom", "reference": body["reference"]})
            assert (await until(socket, "state"))["voice"]["reference"] == body["reference"]
        async with server.greeted(await server.join("bob")) as socket:
            await socket.send_json({"type": "set_voice", "preset": "custom", "reference": body["reference"]})
            assert (await until(socket, "error"))["code"] == "reference_not_found"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"nonsense", 400, "clip_format"),
        (bytes(13 * 2**20), 413, "clip_too_large"),
        (wav(np.zeros(4 * 16_000, "<i2").tobytes()), 400, "clip_unusable"),
    ],
    ids=["format", "large", "silent"],
)
async def test_a_clip_that_is_of_no_use_is_refused(tmp_path: Path, body: bytes, status: int, code: str) -> None:
    """Format, size and silence, each with its code."""
    async with wire_server(tmp_path) as server:
        answer = await server.problem("POST", "/v1/voices/reference", await server.join(), data=io.BytesIO(body))
        assert answer[:2] == (status, code)
        assert answer[2].endswith(".")


async def test_a_stranger_uploads_nothing(tmp_path: Path) -> None:
    """Without a session there is no upload."""
    async with wire_server(tmp_path) as server:
        assert (await server.problem("POST", "/v1/voices/reference", data=b"x"))[:2] == (401, "token_missing")

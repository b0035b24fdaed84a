"""Whose address and whose token a request is counted under."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from signaling.callers import address, token
from tests.wire_server import wire_server


@pytest.mark.parametrize(
    ("behind_proxy", "forwarded", "expected"),
    [
        (False, "192.0.2.9", "127.0.0.1"),
        (True, "192.0.2.9", "192.0.2.9"),
        (True, "10.0.0.1, 192.0.2.9", "192.0.2.9"),
        (True, "", "127.0.0.1"),
    ],
)
async def test_the_proxys_last_word_counts_and_only_behind_one(
    tmp_path: Path, behind_proxy: bool, forwarded: str, expected: str
) -> None:
    """A caller can write what it likes into the header; the proxy appends what it saw."""
    async with wire_server(tmp_path, behind_proxy=behind_proxy) as server:
        transport: Any = type("Transport", (), {"get_extra_info": lambda self, name: ("127.0.0.1", 1)})()
        request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": forwarded}, transport=transport)
        assert address(request, server.services) == expected


def test_a_token_is_found_among_the_subprotocols_of_a_request() -> None:
    """With the spaces that browsers put between them."""
    offered = {"Sec-WebSocket-Protocol": "mirage.v1, bearer.abc"}
    assert token(make_mocked_request("GET", "/v1/signal", headers=offered)) == "abc"

"""The signalling socket against a real server: one conversation, every refusal, replacement and going away."""

from pathlib import Path

from tests.wire_server import closing, until, wire_server


async def test_a_caller_is_welcomed_with_all_a_page_needs(tmp_path: Path) -> None:
    """`hello` is answered by `welcome`, then statistics come once a second."""
    async with wire_server(tmp_path) as server, server.socket(await server.join()) as socket:
        await socket.send_json({"type": "hello", "version": 1})
        welcome = await until(socket, "welcome")
        assert socket.protocol == "mirage.v1"
        assert [voice["name"] for voice in welcome["voices"]] == ["disguise", "lower"]
        assert [face["id"] for face in welcome["identities"]] == ["mask:one", "mask:two"]
        assert welcome["state"]["identity"] == "mask:one"
        assert welcome["limits"]["sdp_bytes"] == 32_768
        assert (await until(socket, "stats"))["swapped"] == 7


async def test_bye_ends_the_session(tmp_path: Path) -> None:
    async with wire_server(tmp_path) as server, server.greeted(await server.join()) as socket:
        await socket.send_json({"type": "bye"})
        assert (await closing(socket))[::2] == ("bye", 1000)
        assert server.calls.sessions == {}

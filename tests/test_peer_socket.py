"""The signalling socket against a real server: one conversation, every refusal, replacement and going away."""

import asyncio
import json
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from signaling.limits import Limits
from tests.fake_session import FakeCall
from tests.wire_server import WireServer, closing, until, wire_server

OFFER = "v=0\r\ns=-\r\n"


def only_call(server: WireServer) -> FakeCall:
    (call,) = server.calls.sessions.values()
    return call


async def test_a_caller_is_welcomed_with_all_a_page_needs(tmp_path: Path) -> None:
    """`hello` is answered by `welcome`, then statistics come once a second."""
    async with wire_server(tmp_path) as server, server.socket(await server.join()) as socket:
        await socket.send_json({"type": "hello", "version": 1})
        welcome = await until(socket, "welcome")
        assert socket.protocol == "mirage.v1"
        assert [voice["name"] for voice in welcome["voices"]] == ["disguise", "lower"]
        assert [face["id"] for face in welcome["identities"]] == ["mask:one", "mask:two"]
        assert welcome["state"]["identity"] == "mask:one"
        assert welcome["engines"]["ready"] is True
        assert welcome["limits"]["sdp_bytes"] == 32_768
        assert (await until(socket, "stats"))["swapped"] == 7


async def test_a_page_of_another_version_is_told_to_reload(tmp_path: Path) -> None:
    """A page kept open over an upgrade of the server."""
    async with wire_server(tmp_path) as server, server.socket(await server.join()) as socket:
        await socket.send_json({"type": "hello", "version": 2})
        code, sentence, _ = await closing(socket)
        assert code == "version_unsupported"
        assert "Reload" in sentence


async def test_a_socket_that_says_nothing_is_closed_and_throws_nobody_out(tmp_path: Path) -> None:
    """An older socket of the session stays until the new one has said hello."""
    async with wire_server(tmp_path, limits=Limits(hello_s=2.0)) as server:  # the older one has so long, too
        token = await server.join()
        async with server.greeted(token) as older, server.socket(token) as silent:
            assert (await closing(silent))[0] == "hello_missing"
            await older.send_json({"type": "ping", "sent_ms": 1})
            await until(older, "pong")


async def test_messages_before_hello_are_refused(tmp_path: Path) -> None:
    """The version is agreed on first."""
    async with wire_server(tmp_path) as server, server.socket(await server.join()) as socket:
        await socket.send_json({"type": "start_chunks"})
        assert (await until(socket, "error"))["code"] == "hello_missing"


async def test_another_huge_message_is_refused(tmp_path: Path) -> None:
    """With a code of its own, and the call goes on."""
    async with wire_server(tmp_path) as server, server.greeted(await server.join()) as socket:
        await socket.send_json({"type": "set_identity", "identity": "x" * 100_000})
        assert (await until(socket, "error"))["code"] == "message_too_large"


async def test_beyond_four_mebibytes_the_socket_closes_and_can_come_back(tmp_path: Path) -> None:
    """The WebSocket layer refuses to buffer more: 1009. The session waits for its owner."""
    async with wire_server(tmp_path) as server:
        token = await server.join()
        async with server.greeted(token) as socket:
            connection = socket._response.connection
            assert connection is not None
            assert connection.transport is not None
            head = b"\x81\xff" + (4 * 1024 * 1024 + 1).to_bytes(8, "big") + bytes(4)
            connection.transport.write(head)  # a text frame that announces too much (RFC 6455 section 5.2)
            while (await socket.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        async with server.greeted(token):
            assert len(server.calls.sessions) == 1


async def test_a_fault_inside_the_call_is_told_without_its_details(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the caller nor the log gets the text of the fault: it may quote an address."""
    async with wire_server(tmp_path) as server, server.greeted(await server.join()) as socket:
        await socket.send_json({"type": "offer", "sdp": OFFER + "raise"})
        error = await until(socket, "error")
        assert (error["code"], error["retryable"]) == ("internal", True)
        assert "192.0.2.1" not in json.dumps(error) + caplog.text
        assert [vars(record)["fault"] for record in caplog.records] == ["RuntimeError"]


async def test_an_engine_that_goes_down_shows_in_the_state(tmp_path: Path) -> None:
    """Within a second, also without an event."""
    async with wire_server(tmp_path) as server, server.greeted(await server.join()) as socket:
        server.calls.ready = False
        assert (await until(socket, "state"))["engines"]["face_state"] == "starting"


async def test_notices_reach_the_page(tmp_path: Path) -> None:
    """With their severity."""
    async with wire_server(tmp_path) as server, server.greeted(await server.join()) as socket:
        only_call(server).notice("voice_slow", "The voice takes longer than usual.")
        assert (await until(socket, "notice"))["severity"] == "warning"


async def test_bye_ends_the_session_and_its_resume_token(tmp_path: Path) -> None:
    """Nobody comes back to a call that was ended."""
    async with wire_server(tmp_path) as server:
        token = await server.join()
        async with server.greeted(token) as socket:
            await socket.send_json({"type": "bye"})
            assert (await closing(socket))[::2] == ("bye", aiohttp.WSCloseCode.OK)
        assert server.calls.sessions == {}
        assert (await server.problem("GET", "/v1/identities", token))[:2] == (401, "resume_unknown")


async def test_a_reload_takes_the_call_over(tmp_path: Path) -> None:
    """The same resume token again: the older socket is told and closed, the session is the same one."""
    async with wire_server(tmp_path) as server:
        token = await server.join()
        async with server.greeted(token) as older, server.greeted(token) as newer:
            code, sentence, number = await closing(older)
            assert (code, number) == ("replaced", aiohttp.WSCloseCode.POLICY_VIOLATION)
            assert sentence.endswith(".")
            await newer.send_json({"type": "offer", "sdp": OFFER})
            await until(newer, "answer")
            assert only_call(server).attached
        async with asyncio.timeout(60):
            while only_call(server).attached:  # noqa: ASYNC110 - a call sets no event
                await asyncio.sleep(0.01)


async def test_rubbish_ends_the_session_with_its_own_code(tmp_path: Path) -> None:
    """The anomaly rule, over the real socket; another session does not notice."""
    async with wire_server(tmp_path) as server, server.greeted(await server.join("bob")) as other:
        async with server.greeted(await server.join("eve")) as socket:
            for _ in range(61):
                await socket.send_str("rubbish")
            code, sentence, _ = await closing(socket)
            assert code == "too_many_invalid"
            assert "30 %" in sentence
        assert [call.subject for call in server.calls.sessions.values()] == ["bob"]
        await other.send_json({"type": "offer", "sdp": OFFER})
        await until(other, "answer")


async def test_the_anomaly_window_survives_a_reconnect(tmp_path: Path) -> None:
    """It belongs to the session, so a new socket wipes nothing."""
    async with wire_server(tmp_path) as server:
        token = await server.join()
        async with server.greeted(token) as socket:
            for _ in range(40):
                await socket.send_str("rubbish")
            await socket.send_json({"type": "ping", "sent_ms": 1})
            await until(socket, "pong")
        async with server.greeted(token) as socket:
            for _ in range(21):
                await socket.send_str("rubbish")
            assert (await closing(socket))[0] == "too_many_invalid"


async def test_a_flood_is_dropped_with_a_code(tmp_path: Path) -> None:
    """The sender hears that it may try again."""
    limits = Limits(messages_per_s=5)
    async with wire_server(tmp_path, limits=limits) as server, server.greeted(await server.join()) as socket:
        for _ in range(30):
            await socket.send_json({"type": "ping", "sent_ms": 1})
        error = await until(socket, "error")
        assert (error["code"], error["retryable"], error["about"]) == ("rate_limited", True, "ping")


async def test_a_stopping_server_says_so(tmp_path: Path) -> None:
    """Closing code 1001, so that the page calls again."""
    async with wire_server(tmp_path) as server, server.greeted(await server.join()) as socket:
        await server.stop()
        code, _, number = await closing(socket)
        assert (code, number) == ("going_away", aiohttp.WSCloseCode.GOING_AWAY)


async def test_a_client_that_stops_reading_is_cut_off_and_nobody_waits_for_it(tmp_path: Path) -> None:
    """Its pictures fill the connection, then its session is only waiting for its owner; the other call goes on."""
    limits = Limits(send_stuck_s=0.3)
    noise = np.random.default_rng(1).integers(0, 255, (800, 1000, 3), np.uint8)
    async with wire_server(tmp_path, limits=limits) as server, server.greeted(await server.join("bob")) as other:
        async with server.greeted(await server.join("ada")) as socket:
            _, ada = server.calls.sessions.values()
            await socket.send_json({"type": "start_chunks"})
            await ada.chunks_opened.wait()
            connection = socket._response.connection
            assert connection is not None
            assert isinstance(connection.transport, asyncio.ReadTransport)
            connection.transport.pause_reading()
            for n in range(4000):
                if not ada.attached:
                    break
                if ada.line is not None and n < 60:
                    ada.line.push_picture(noise, capture_us=n)
                await asyncio.sleep(0.02)
            assert not ada.attached
            assert ada.id in server.calls.sessions
            connection.transport.resume_reading()
        await other.send_json({"type": "ping", "sent_ms": 1})
        await until(other, "pong")


async def test_a_thousand_brackets_do_not_end_the_socket(tmp_path: Path) -> None:
    """Nested JSON exhausts the decoder's recursion; that is one refused message, no more."""
    deep = '{"x":' + "[" * 30_000 + "]" * 30_000 + ',"type":"bye"}'
    async with wire_server(tmp_path) as server, server.greeted(await server.join()) as socket:
        await socket.send_str(deep)
        assert (await until(socket, "error"))["code"] == "message_bad"
        await socket.send_str(deep + " " * 70_000)
        assert (await until(socket, "error"))["code"] == "message_too_large"


async def test_a_session_that_ends_before_hello_is_told_so(tmp_path: Path) -> None:
    """Or the socket would stay open with nothing behind it."""
    async with wire_server(tmp_path) as server, server.socket(await server.join()) as socket:
        await only_call(server).close("abandoned", "Nobody came back to this call in time.")
        await socket.send_json({"type": "hello", "version": 1})
        assert (await closing(socket))[0] == "resume_unknown"

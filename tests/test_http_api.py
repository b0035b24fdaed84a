"""Sessions over HTTP and the socket's door, against a real server: every wrong token with its code and sentence."""

import asyncio
from pathlib import Path

import pytest

from mirage_rtc.grants import Grants
from signaling import auth
from signaling.limits import Limits
from tests.fake_session import FakeCalls
from tests.test_auth import forged
from tests.wire_server import KEY, NOW_S, WireServer, wire_server


async def upgrade_problem(server: WireServer, *protocols: str, **headers: str) -> tuple[int, str, str]:
    """(status, code, sentence) of a WebSocket upgrade that is refused."""
    headers |= {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    headers |= {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": ", ".join(protocols)}
    kept = {name.replace("_", "-"): value for name, value in headers.items() if value}
    return await server.problem("GET", "/v1/signal", headers=kept)


async def test_a_link_is_exchanged_for_a_session(tmp_path: Path) -> None:
    """Everything the page needs to open its socket is in the answer."""
    async with wire_server(tmp_path) as server, server.post("/v1/sessions", server.link()) as response:
        body = await response.json()
        assert response.status == 201
        assert body["signal_url"] == "/v1/signal"
        assert body["resume_grace_s"] == 60
        assert list(server.calls.sessions) == [body["session_id"]]


async def test_grants_reach_the_session(tmp_path: Path) -> None:
    """What the token allows is what the session knows."""
    async with wire_server(tmp_path) as server:
        await server.join("ada", badge_off=True, max_call_s=30)
        (call,) = server.calls.sessions.values()
        assert (call.subject, call.grants.badge_off, call.grants.max_call_s) == ("ada", True, 30)


async def test_a_link_opens_one_call_also_after_a_restart(tmp_path: Path) -> None:
    """A copied link is refused over HTTP, over the socket, and by the next process."""
    async with wire_server(tmp_path) as server:
        link = server.link()
        await (await server.post("/v1/sessions", link)).read()
        status, code, sentence = await server.problem("POST", "/v1/sessions", link)
        assert (status, code) == (401, "token_used")
        assert "new one" in sentence
        assert (await upgrade_problem(server, "mirage.v1", f"bearer.{link}"))[:2] == (401, "token_used")
    async with wire_server(tmp_path) as server:
        assert (await server.problem("POST", "/v1/sessions", link))[1] == "token_used"


async def test_of_two_who_present_one_link_one_wins(tmp_path: Path) -> None:
    """At the same moment too: the link is reserved before anything is awaited."""
    async with wire_server(tmp_path) as server:
        link = server.link()
        answers = await asyncio.gather(*(server.post("/v1/sessions", link) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [201, 401, 401, 401, 401]
        assert len(server.calls.sessions) == 1


async def test_a_full_server_does_not_burn_the_link(tmp_path: Path) -> None:
    """The refused caller joins with the same link when a place is free."""
    async with wire_server(tmp_path, calls=FakeCalls(capacity=1)) as server:
        first = await server.join("ada")
        link = server.link("bob")
        async with server.post("/v1/sessions", link) as response:
            assert (response.status, (await response.json())["code"]) == (429, "at_capacity")
            assert response.headers["Retry-After"] == "5"
        (call,) = server.calls.sessions
        async with server.ask("DELETE", f"/v1/sessions/{call}", first) as response:
            assert response.status == 204
        async with server.post("/v1/sessions", link) as response:
            assert response.status == 201


WRONG = [
    (forged(key=bytes(64)), "token_bad"),
    (forged(key=KEY, aud="another"), "token_wrong_audience"),
    (auth.mint(KEY, "ada", Grants(), 60, NOW_S - 600), "token_expired"),
    ("made-up", "resume_unknown"),
]


@pytest.mark.parametrize(("token", "code"), WRONG, ids=[code for _, code in WRONG])
async def test_a_wrong_token_opens_no_socket(tmp_path: Path, token: str, code: str) -> None:
    """Refused before the upgrade, in either place where a token may be."""
    async with wire_server(tmp_path) as server:
        for answer in (
            await upgrade_problem(server, "mirage.v1", f"bearer.{token}"),
            await upgrade_problem(server, "mirage.v1", Authorization=f"Bearer {token}"),
        ):
            assert answer[:2] == (401, code)
            assert answer[2].endswith(".")
        assert server.calls.sessions == {}


async def test_a_token_is_never_taken_from_a_url(tmp_path: Path) -> None:
    """Addresses end up in logs and histories."""
    async with wire_server(tmp_path) as server:
        for name in ("token", "access_token", "t", "bearer"):
            assert (await server.problem("POST", f"/v1/sessions?{name}={server.link()}"))[1] == "token_missing"


async def test_a_socket_may_be_opened_with_a_link_or_with_a_header(tmp_path: Path) -> None:
    """Programs that are no browser need no exchange first."""
    async with wire_server(tmp_path) as server:
        async with server.greeted(server.link("ada")):
            pass
        headers = {"Authorization": f"Bearer {server.link('bob')}"}
        async with server.http.ws_connect(f"{server.url}/v1/signal", headers=headers) as socket:
            await socket.send_json({"type": "hello", "version": 1})
            assert (await socket.receive_json(timeout=60))["type"] == "welcome"
        assert [call.subject for call in server.calls.sessions.values()] == ["ada", "bob"]


async def test_what_is_no_websocket_uses_up_no_link(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nor does a wrong subprotocol, and the token in it is not logged."""
    async with wire_server(tmp_path) as server:
        link = server.link()
        assert (await server.problem("GET", "/v1/signal", link))[:2] == (400, "upgrade_needed")
        assert (await upgrade_problem(server, f"bearer.{link}"))[:2] == (400, "subprotocol_unknown")
        assert link not in caplog.text
        async with server.greeted(link):
            pass
        assert caplog.records == []


async def test_a_foreign_site_is_refused_and_an_allowed_one_is_not(tmp_path: Path) -> None:
    """Over HTTP and over the socket; a look-alike of our host is foreign."""
    allowed = "https://studio.example"
    async with wire_server(tmp_path, allowed_origins=(allowed,)) as server:
        link = server.link()
        for origin in ("https://evil.example", "null", server.url.replace("127.0.0.1", "127.0.0.1.evil.example")):
            headers = {"Origin": origin}
            answer = await server.problem("POST", "/v1/sessions", link, headers=headers)
            assert answer[:2] == (403, "origin_refused")
            assert "site" in answer[2]
            upgrade = await upgrade_problem(server, "mirage.v1", f"bearer.{link}", Origin=origin)
            assert upgrade[:2] == (403, "origin_refused")
        for origin in (allowed, server.url):
            async with server.socket(server.link(), origin=origin) as socket:
                assert not socket.closed


async def test_joins_are_limited_by_address_and_by_subject(tmp_path: Path) -> None:
    """Failed attempts count, so that tokens cannot be guessed at speed."""
    async with wire_server(tmp_path, limits=Limits(joins_burst=3, joins_per_s=0.001)) as server:
        for _ in range(3):
            await server.problem("POST", "/v1/sessions", "made-up")
        status, code, sentence = await server.problem("POST", "/v1/sessions", server.link())
        assert (status, code) == (429, "rate_limited")
        assert "Wait" in sentence


async def test_behind_a_proxy_addresses_are_the_callers_and_subjects_count_too(tmp_path: Path) -> None:
    """The last hop's word counts; what a caller wrote before it does not."""
    limits = Limits(joins_burst=2, joins_per_s=0.001)
    async with wire_server(tmp_path, limits=limits, behind_proxy=True, calls=FakeCalls(capacity=9)) as server:

        async def join_from(address: str, subject: str) -> int:
            headers = {"X-Forwarded-For": f"1.2.3.4, {address}"}
            async with server.post("/v1/sessions", server.link(subject), headers=headers) as response:
                return response.status

        assert [await join_from(f"192.0.2.{n}", f"person {n}") for n in range(4)] == [201] * 4
        assert [await join_from(f"192.0.2.{n}", "one person") for n in range(10, 13)] == [201, 201, 429]


async def test_one_sees_and_ends_only_ones_own_session(tmp_path: Path) -> None:
    """Another one's looks as if it did not exist."""
    async with wire_server(tmp_path) as server:
        ada, bob = await server.join("ada"), await server.join("bob")
        ada_id, bob_id = server.calls.sessions
        async with server.ask("GET", f"/v1/sessions/{ada_id}", ada) as response:
            assert (await response.json())["state"]["identity"] == "mask:one"
        for method in ("GET", "DELETE"):
            assert (await server.problem(method, f"/v1/sessions/{bob_id}", ada))[:2] == (404, "session_not_found")
            assert (await server.problem(method, f"/v1/sessions/{bob_id}"))[:2] == (401, "token_missing")
        async with server.ask("DELETE", f"/v1/sessions/{bob_id}", bob) as response:
            assert response.status == 204
        assert list(server.calls.sessions) == [ada_id]
        assert (await server.problem("GET", f"/v1/sessions/{bob_id}", bob))[:2] == (401, "resume_unknown")


async def test_a_link_is_no_resume_token(tmp_path: Path) -> None:
    """The error says to exchange it first."""
    async with wire_server(tmp_path) as server:
        answer = await server.problem("GET", "/v1/identities", server.link())
        assert answer[:2] == (401, "resume_needed")


async def test_the_probes(tmp_path: Path) -> None:
    """Alive at once; ready when the engines are warm."""
    async with wire_server(tmp_path) as server:
        server.calls.ready = False
        assert (await server.ask("GET", "/livez")).status == 200
        answer = await server.problem("GET", "/readyz")
        assert answer[:2] == (503, "engines_not_ready")
        server.calls.ready = True
        async with server.ask("GET", "/readyz") as response:
            assert (response.status, (await response.json())["face_name"]) == (200, "mesh")


async def test_metrics_count_and_name_nobody(tmp_path: Path) -> None:
    """Sockets, refusals and reports, without a subject or an address."""
    async with wire_server(tmp_path) as server:
        token = await server.join("ada lovelace")
        await server.problem("GET", "/v1/identities", "made-up")
        async with server.greeted(token) as socket:
            await socket.send_json({"type": "report", "rtt_ms": 12, "glass_ms": 180})
            await socket.send_json({"type": "ping", "sent_ms": 0})
            while (await socket.receive_json(timeout=60))["type"] != "pong":
                pass
            text = await (await server.ask("GET", "/metrics")).text()
        assert "mirage_wire_sockets 1.0" in text
        assert 'mirage_wire_refusals_total{code="resume_unknown"} 1.0' in text
        assert 'mirage_page_reported_ms_sum{what="glass"} 180.0' in text
        assert "ada" not in text
        assert "127.0.0.1" not in text


async def test_an_unknown_path_or_method_is_a_coded_error(tmp_path: Path) -> None:
    """aiohttp's own answers come in our form."""
    async with wire_server(tmp_path) as server:
        assert (await server.problem("GET", "/v2/anything"))[:2] == (404, "not_found")
        assert (await server.problem("PUT", "/v1/sessions"))[:2] == (405, "method_not_allowed")


async def test_a_client_of_an_old_http_gets_an_answer(tmp_path: Path) -> None:
    """Bytes that are not HTTP are answered with 400, and nobody else notices."""
    async with wire_server(tmp_path) as server:
        port = int(server.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()
        await writer.wait_closed()
        assert (await server.ask("GET", "/livez")).status == 200

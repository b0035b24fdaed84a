"""What each control message does to its call, over a real socket: offers, candidates, settings and refusals."""

from pathlib import Path
from typing import Any

import pytest

from tests.test_peer_socket import OFFER, only_call
from tests.wire_server import until, wire_server


async def test_turn_credentials_come_with_the_welcome(tmp_path: Path) -> None:
    """They live as long as configured, from now."""
    settings: dict[str, Any] = {"turn_urls": ("turn:t.example:3478",), "turn_secret": "s" * 32}
    async with wire_server(tmp_path, **settings) as server, server.socket(await server.join()) as socket:
        await socket.send_json({"type": "hello", "version": 1})
        (turn,) = (await until(socket, "welcome"))["ice_servers"]
        assert turn["urls"] == ["turn:t.example:3478"]
        assert turn["username"].startswith("1800000300:")


async def test_an_offer_is_answered_and_candidates_are_filtered(tmp_path: Path) -> None:
    """Link-local never reaches the session, neither trickled nor inside the offer."""
    good = "candidate:1 1 udp 1 127.0.0.1 5000 typ host"
    bad = "candidate:1 1 udp 1 169.254.169.254 80 typ host"
    async with wire_server(tmp_path) as server, server.greeted(await server.join()) as socket:
        await socket.send_json({"type": "offer", "sdp": f"{OFFER}a={good}\r\na={bad}\r\n"})
        assert (await until(socket, "answer"))["sdp"].startswith("v=0")
        for line in (bad, "candidate:1 1 udp 1 x.local 80 typ host", good, ""):
            await socket.send_json({"type": "candidate", "candidate": line, "sdp_mid": "0"})
        await socket.send_json({"type": "ping", "sent_ms": 1})
        await until(socket, "pong")
        assert only_call(server).asked == [
            ("negotiate", f"{OFFER}a={good}\r\n"),
            ("add_candidate", good, "0", None),
            ("add_candidate", "", "0", None),
        ]


async def test_an_offer_may_have_so_many_candidates(tmp_path: Path) -> None:
    """Thirty-two trickled ones, and a new offer may have its own."""
    async with wire_server(tmp_path) as server, server.greeted(await server.join()) as socket:
        await socket.send_json({"type": "offer", "sdp": OFFER})
        for _ in range(33):
            await socket.send_json({"type": "candidate", "candidate": ""})
        assert (await until(socket, "error"))["code"] == "candidates_too_many"
        await socket.send_json({"type": "offer", "sdp": OFFER})  # a new offer may have its own
        await until(socket, "answer")
        await socket.send_json({"type": "candidate", "candidate": ""})
        await socket.send_json({"type": "ping", "sent_ms": 1})
        await until(socket, "pong")
        assert len(only_call(server).asked) == 35


@pytest.mark.parametrize("size", [40_000, 3_000_000])
async def test_a_huge_offer_is_refused_and_the_call_goes_on(tmp_path: Path, size: int) -> None:
    """40 kB is read and measured; 3 MB is not even parsed beyond its type. Neither closes the socket."""
    async with wire_server(tmp_path) as server, server.greeted(await server.join()) as socket:
        await socket.send_json({"type": "offer", "sdp": "v=0\r\n" + "a" * size})
        error = await until(socket, "error")
        assert (error["code"], error["about"], error["retryable"]) == ("offer_too_large", "offer", False)
        assert "32768 bytes" in error["sentence"]
        await socket.send_json({"type": "offer", "sdp": OFFER})
        await until(socket, "answer")


REFUSED = [
    ('{"type":"offer","sdp":"nonsense"}', "offer_bad"),
    ('{"type":"set_identity","identity":"mask:none"}', "identity_not_found"),
    ('{"type":"set_voice","preset":"opera"}', "voice_unknown"),
    ('{"type":"set_voice","preset":"lower","reference":"clip:none"}', "reference_not_found"),
    ('{"type":"set_passthrough","face":true,"voice":false}', "passthrough_not_granted"),
    ('{"type":"set_badge","visible":false}', "badge_not_granted"),
    ('{"type":"set_enhancer","mode":"auto","model":"gfpgan"}', "enhancer_unknown"),
    ('{"type":"set_enhancer","mode":"auto","fidelity":1.5}', "message_bad"),
    ('{"type":"hello","version":1}', "message_bad"),
    ('{"type":"sudo"}', "message_bad"),
    ("}{", "message_bad"),
]


async def test_each_refusal_has_its_code_and_the_call_goes_on(tmp_path: Path) -> None:
    """The session's refusals and the decoder's."""
    async with wire_server(tmp_path) as server, server.greeted(await server.join()) as socket:
        for text, code in REFUSED:
            await socket.send_str(text)
            error = await until(socket, "error")
            assert error["code"] == code
            assert error["sentence"].endswith(".")
        await socket.send_json({"type": "set_muted", "audio": True, "video": False})
        assert (await until(socket, "state"))["muted_audio"] is True


async def test_every_change_is_followed_by_the_state(tmp_path: Path) -> None:
    """So that the page shows what is, not what was asked."""
    changes: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"type": "set_identity", "identity": "mask:two"}, {"identity": "mask:two"}),
        ({"type": "set_muted", "audio": True, "video": True}, {"muted_audio": True, "muted_video": True}),
        ({"type": "set_badge", "visible": False}, {"badge": False}),
        ({"type": "set_passthrough", "face": True, "voice": True}, {"passthrough_face": True}),
        ({"type": "set_enhancer", "mode": "every", "fidelity": 0.25}, {}),
        ({"type": "set_voice", "preset": "lower", "breath": 0.5, "gate_db": -50.0, "denoise": True}, {}),
    ]
    async with wire_server(tmp_path) as server:
        token = await server.join(passthrough=True, badge_off=True)
        async with server.greeted(token) as socket:
            for message, expected in changes:
                await socket.send_json(message)
                state = await until(socket, "state")
                assert state | expected == state
            assert (state["enhancer"]["mode"], state["enhancer"]["fidelity"]) == ("every", 0.25)
            assert state["enhancer"]["offers"] == ["gpen-256"]
            assert state["voice"]["preset"] == "lower"
            assert state["voice"]["breath"] == 0.5
            assert (state["voice"]["gate_db"], state["voice"]["denoise"]) == (-50.0, True)


async def test_a_mapping_is_handed_to_the_session_and_shown(tmp_path: Path) -> None:
    """Leaving others alone is refused without the grant, with a code, and the call goes on as before."""
    entries = [{"reference": "portrait:1", "wears": "mask:two", "threshold": 0.5}]
    async with wire_server(tmp_path) as server, server.greeted(await server.join()) as socket:
        await socket.send_json({"type": "set_mapping", "entries": entries})
        state = await until(socket, "state")
        assert (state["mapping"], state["can_map"]) == ({"entries": entries, "others": "blur", "lock": True}, True)
        await socket.send_json({"type": "set_mapping", "entries": entries, "others": "passthrough"})
        error = await until(socket, "error")
        assert (error["code"], error["about"]) == ("passthrough_not_granted", "set_mapping")
    async with wire_server(tmp_path) as server, server.greeted(await server.join(passthrough=True)) as socket:
        await socket.send_json({"type": "set_mapping", "entries": [], "others": "passthrough", "lock": False})
        while (state := await until(socket, "state"))["mapping"]["others"] != "passthrough":
            pass
        assert not state["mapping"]["lock"]

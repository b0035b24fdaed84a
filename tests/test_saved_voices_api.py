"""Saved voices over HTTP: one's own, with a session's token, within bounds."""

from pathlib import Path

import pytest

from signaling.limits import Limits
from tests.wire_server import wire_server

PATH = "/v1/voices/presets"


async def test_a_voice_is_saved_listed_and_removed(tmp_path: Path) -> None:
    """By its owner, in any of their calls; nobody else sees it."""
    async with wire_server(tmp_path) as server:
        ada, bob = await server.join(), await server.join("bob")
        voice = {"preset": "lower", "pitch_semitones": -2.0, "denoise": True, "reference": "clip:x"}
        async with server.ask("PUT", f"{PATH}/My%20call%2Fone", ada, json=voice) as response:
            assert response.status == 200
            assert (await response.json())["voice"]["reference"] is None
        async with server.ask("GET", PATH, await server.join()) as response:
            [found] = (await response.json())["presets"]
        assert (found["name"], found["voice"]["preset"], found["voice"]["denoise"]) == ("My call/one", "lower", True)
        async with server.ask("GET", PATH, bob) as response:
            assert (await response.json())["presets"] == []
        assert (await server.problem("DELETE", f"{PATH}/My%20call%2Fone", bob))[:2] == (404, "voice_preset_not_found")
        async with server.ask("DELETE", f"{PATH}/My%20call%2Fone", ada) as response:
            assert response.status == 204


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("x", b'{"preset":"lower","pitch_semitones":99}', 400, "voice_preset_bad"),
        ("x", b"[" * 2000, 400, "voice_preset_bad"),
        ("x", b'{"preset":"lower"}' + b" " * 5000, 413, "voice_preset_too_large"),
        ("%00", b"{}", 400, "voice_preset_name"),
    ],
)
async def test_what_is_no_voice_is_refused(tmp_path: Path, name: str, body: bytes, status: int, code: str) -> None:
    """Numbers out of range, rubbish, too much of it, a name with a control character."""
    async with wire_server(tmp_path) as server:
        answer = await server.problem("PUT", f"{PATH}/{name}", await server.join(), data=body)
        assert answer[:2] == (status, code)
        assert answer[2].endswith(".")


async def test_a_stranger_sees_and_saves_nothing(tmp_path: Path) -> None:
    """Without a session's token."""
    async with wire_server(tmp_path) as server:
        for method, path in (("GET", PATH), ("PUT", f"{PATH}/x"), ("DELETE", f"{PATH}/x")):
            assert (await server.problem(method, path))[:2] == (401, "token_missing")


@pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("PUT", f"{PATH}/x"), ("DELETE", f"{PATH}/x")])
async def test_nobody_keeps_the_disk_busy(tmp_path: Path, method: str, path: str) -> None:
    """Each of the three reads or writes a file: one bound for all of them."""
    async with wire_server(tmp_path, limits=Limits(saved_per_s=0.001, saved_burst=2)) as server:
        ada, bob = await server.join(), await server.join("bob")
        for _ in range(2):
            async with server.ask(method, path, ada, json={"preset": "robot"}) as response:
                assert response.status in (200, 404)
        assert (await server.problem(method, path, ada, json={"preset": "robot"}))[0] == 429
        async with server.ask(method, path, bob, json={"preset": "robot"}) as response:
            assert response.status in (200, 404)

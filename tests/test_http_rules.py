"""Every error class has a status; every answer carries the headers that keep a browser out of trouble."""

from pathlib import Path

import pytest

from mirage_rtc import errors
from mirage_rtc.errors import MirageError
from signaling.http_rules import STATUS, problem, status_of
from tests.wire_server import wire_server


def descendants(kind: type[MirageError]) -> set[type[MirageError]]:
    found = set(kind.__subclasses__())
    return found.union(*(descendants(child) for child in found))


def test_every_error_class_has_a_status_of_its_own() -> None:
    """A class added to the tree without one fails here."""
    declared = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MirageError)}
    assert declared - {MirageError} == set(STATUS)
    assert {kind: status_of(kind("code", "Sentence.")) for kind in descendants(MirageError) & declared} == STATUS
    assert status_of(MirageError("code", "Sentence.")) == 500


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_an_error_is_told_as_json(kind: type[MirageError]) -> None:
    """Code, sentence and whether to try again, for every class."""
    response = problem(kind("some_code", "What to do."))
    assert response.content_type == "application/json"
    assert response.body is not None
    assert response.text is not None
    assert '"code":"some_code"' in response.text
    assert ("Retry-After" in response.headers) == kind.retryable


async def test_every_answer_carries_the_headers(tmp_path: Path) -> None:
    """A page, an error, a probe and an upgrade alike."""
    (tmp_path / "index.html").write_text("<!doctype html>")
    async with wire_server(tmp_path) as server:
        for path in ("/", "/missing.js", "/v1/identities", "/livez"):
            async with server.ask("GET", path) as response:
                policy = response.headers["Content-Security-Policy"]
                assert "script-src 'self'" in policy
                assert "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy
                assert f"ws://{server.url.removeprefix('http://')}" in policy
                assert response.headers["Server"] == "mirage"
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Referrer-Policy"] == "no-referrer"
                assert "camera=(self), microphone=(self)" in response.headers["Permissions-Policy"]
                assert response.headers["Cache-Control"] == ("no-cache" if path == "/" else "no-store")
        async with server.socket(await server.join()) as socket:
            assert socket._response.headers["X-Content-Type-Options"] == "nosniff"


async def test_an_allowed_site_may_call_across_origins(tmp_path: Path) -> None:
    """Preflight and request carry CORS headers; a foreign site gets none."""
    allowed = "https://studio.example"
    async with wire_server(tmp_path, allowed_origins=(allowed,)) as server:
        asked = {"Origin": allowed, "Access-Control-Request-Method": "POST"}
        async with server.ask("OPTIONS", "/v1/sessions", headers=asked) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == allowed
            assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
        async with server.post("/v1/sessions", server.link(), headers={"Origin": allowed}) as response:
            assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (201, allowed)
        asked["Origin"] = "https://evil.example"
        async with server.ask("OPTIONS", "/v1/sessions", headers=asked) as response:
            assert response.status == 403
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_the_public_address_counts_as_own(tmp_path: Path) -> None:
    """A proxy may hand on another Host than the browser's."""
    async with wire_server(tmp_path, public_url="https://call.example/mirage", behind_proxy=True) as server:
        headers = {"Origin": "https://call.example"}
        async with server.post("/v1/sessions", server.link(), headers=headers) as response:
            assert response.status == 201


async def test_a_fault_in_a_handler_is_a_coded_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its text stays out of the answer and out of the log."""
    async with wire_server(tmp_path) as server:
        vars(server.calls)["capacity"] = "192.0.2.1"
        status, code, sentence = await server.problem("POST", "/v1/sessions", server.link())
        assert (status, code) == (500, "internal")
        assert "192.0.2.1" not in sentence + caplog.text
        assert [vars(record)["fault"] for record in caplog.records] == ["TypeError"]

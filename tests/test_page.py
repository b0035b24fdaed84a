"""The page's files and nothing else of the disk."""

import asyncio
from pathlib import Path

import pytest

from mirage_rtc.errors import NotFound
from signaling import page
from tests.wire_server import wire_server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A page with files that must not be served around and inside it."""
    web = tmp_path / "web"
    (web / "src").mkdir(parents=True)
    (web / "node_modules").mkdir()
    for name in ("index.html", "style.css", "src/main.js", "src/protocol.d.ts", "package.json", ".env.js"):
        (web / name).write_text(name)
    (web / "node_modules" / "x.js").write_text("x")
    (tmp_path / "secret.js").write_text("secret")
    (web / "way_out.js").symlink_to(tmp_path / "secret.js")
    return web


async def test_the_page_is_served_with_its_types_and_asked_for_again(tmp_path: Path, root: Path) -> None:
    """Modules need the right type; a new version must show at once."""
    expected = {"/": "text/html", "/style.css": "text/css", "/src/main.js": "text/javascript"}
    async with wire_server(tmp_path, web_root=root) as server:
        for path, kind in expected.items():
            async with server.ask("GET", path) as response:
                assert (response.status, response.content_type) == (200, kind)
                assert response.headers["Cache-Control"] == "no-cache"
                etag = response.headers["ETag"]
            async with server.ask("GET", path, headers={"If-None-Match": etag}) as response:
                assert response.status == 304


OUTSIDE = [
    "/../secret.js",
    "/..%2fsecret.js",
    "/%2e%2e/secret.js",
    "/src/..%5c..%5csecret.js",
    "//etc/passwd",
    "/way_out.js",
    "/package.json",
    "/src/protocol.d.ts",
    "/.env.js",
    "/node_modules/x.js",
    "/src",
    "/src/",
    "/src/main.js%00.html",
    "/missing.js",
]


@pytest.mark.parametrize("path", OUTSIDE)
async def test_nothing_else_is(tmp_path: Path, root: Path, path: str) -> None:
    """Paths written to the wire as they are."""
    async with wire_server(tmp_path, web_root=root) as server:
        port = int(server.url.rpartition(":")[2])
        assert b" 404 " in await raw_status(port, path)


async def raw_status(port: int, path: str) -> bytes:
    """The status line for a path that no client library has tidied up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    status = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return status


def test_a_path_is_looked_up_below_the_root_only(root: Path) -> None:
    """The same without a server."""
    assert page.find(root, "/src/main.js") == root / "src" / "main.js"
    for path in ("../secret.js", "src/../../secret.js", "/etc/hostname", "src//main.js", "./index.html"):
        with pytest.raises(NotFound):
            page.find(root, path)

"""Serves the page: the files of `web/` as they are, by a list of types, and nothing else of the disk.

`app.py` routes every path that no API claims here. No listing, no hidden file, no way out of the root by `..`, an
encoded slash or a link.
"""

from pathlib import Path

from aiohttp import web

from mirage_rtc.errors import NotFound

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
}
"""What the page is made of; anything else (`package.json`, `.d.ts`) is not served."""

ROOT = web.AppKey("page_root", Path)

HIDDEN = frozenset({"node_modules", "test", "tests"})


def find(root: Path, path: str) -> Path:
    """The file of a decoded URL path below `root`; raises NotFound `not_found`."""
    relative = path.lstrip("/") or "index.html"
    parts = relative.split("/")
    if "\0" in path or "\\" in path or any(part in HIDDEN or part.startswith(".") or not part for part in parts):
        raise _missing()
    file = (root / relative).resolve()
    if file.suffix not in TYPES or not file.is_relative_to(root.resolve()) or not file.is_file():
        raise _missing()
    return file


async def page(request: web.Request) -> web.StreamResponse:
    """`GET` of any path that is no API's. Browsers ask again each time, and are answered 304 while nothing changed."""
    file = find(request.app[ROOT], request.match_info["path"])
    headers = {"Content-Type": TYPES[file.suffix], "Cache-Control": "no-cache"}
    return web.FileResponse(file, headers=headers)


def _missing() -> NotFound:
    return NotFound("not_found", "There is nothing at this address.")

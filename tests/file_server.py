"""A loopback server of one file with every fault a download meets: no ranges, cuts, wrong ranges, stalls, statuses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(slots=True)
class FileServer:
    """Serves `content` at every path. Faults hold for the first so many requests, then it behaves.

    `ranges` False answers every request with the whole file. `cuts` are byte counts after which one connection each is
    dropped; `statuses` answer one request each, after the cuts if `cut_first`; `stalls` requests send half, and wait.
    """

    content: bytes
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    cut_first: bool = False
    stalls: int = 0
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request, with the next fault if one is left."""
        wanted = request.headers.get("Range", "")
        self.asked.append(wanted)
        if self.statuses and not (self.cut_first and self.cuts):
            return web.Response(status=self.statuses.pop(0))
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted and self.ranges else 0
        if start >= len(self.content):
            return web.Response(status=416)
        return await self._send(request, start)

    async def _send(self, request: web.Request, start: int) -> web.StreamResponse:
        body = self.content[start:]
        response = web.StreamResponse(status=206 if start else 200, headers={"Content-Length": str(len(body))})
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        await response.prepare(request)
        if self.stalls:
            self.stalls -= 1
            await response.write(body[: len(body) // 2])
            await asyncio.sleep(60)
        await response.write(body[: self.cuts[0]] if self.cuts else body)
        if self.cuts:
            self.cuts.pop(0)
            assert request.transport is not None
            request.transport.close()
        return response


@asynccontextmanager
async def serving(server: FileServer) -> AsyncIterator[FileServer]:
    """The server on a free port of loopback; its `url` is of a file called weights.onnx."""
    app = web.Application()
    app.router.add_get("/{name}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/weights.onnx"
    try:
        yield server
    finally:
        await runner.cleanup()

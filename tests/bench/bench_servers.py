"""The servers that `peer_bench` compares: ours, aiortc as it ships, FastRTC; each in processes of its own."""

import asyncio
import contextlib
import functools
import subprocess
import sys
import tempfile
import venv
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.browser import ROOT, free_port, running_server
from tests.peers import only_loopback, signalled_call
from tests.stamped_client import StampedClient

ECHOES = Path(__file__).resolve().parent / "echoes"
FASTRTC = "fastrtc==0.0.34"
START_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What every server is asked for."""

    kbps: int = 500
    work_ms: int = 0
    fastrtc_venv: Path = ROOT / ".cache" / "fastrtc_venv"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchServer:
    """A running server: its process, and how a client calls it."""

    pid: int
    called: Callable[[StampedClient], AbstractAsyncContextManager[None]]
    data_channel: bool = False
    """Whether the client must open one before anything comes back."""


@contextlib.asynccontextmanager
async def mirage(plan: Plan) -> AsyncIterator[BenchServer]:
    """`python -m mirage_rtc serve`, raw face and voice allowed; with work, a face engine that sleeps instead."""
    module, before = ("mirage_rtc", ()) if not plan.work_ms else ("tests.bench.sleeping_engine", (str(plan.work_ms),))
    wish = {"type": "set_passthrough", "face": not plan.work_ms, "voice": True}
    kbps = {"video_kbps_start": str(plan.kbps), "video_kbps_max": str(plan.kbps)}
    with tempfile.TemporaryDirectory() as folder:
        program = (module, *before)
        async with running_server(Path(folder) / "data", "--passthrough", program=program, inside=(), **kbps) as server:

            @contextlib.asynccontextmanager
            async def called(client: StampedClient) -> AsyncIterator[None]:
                with only_loopback():
                    async with signalled_call(server.url, server.token, client, wish):
                        yield

            yield BenchServer(pid=server.pid, called=called)


@contextlib.asynccontextmanager
async def aiortc(plan: Plan) -> AsyncIterator[BenchServer]:
    """aiortc's echo, in this Python."""
    async with _echo(Path(sys.executable), "aiortc_echo.py", plan, "/offer") as server:
        yield server


@contextlib.asynccontextmanager
async def fastrtc(plan: Plan) -> AsyncIterator[BenchServer]:
    """FastRTC's echo, in its own environment, which is made (about 1 GB) when it is not there."""
    python = await asyncio.to_thread(_environment, plan.fastrtc_venv)
    async with _echo(python, "fastrtc_echo.py", plan, "/webrtc/offer", data_channel=True) as server:
        yield server


SERVERS: dict[str, Callable[[Plan], AbstractAsyncContextManager[BenchServer]]] = {
    "mirage": mirage,
    "aiortc": aiortc,
    "fastrtc": fastrtc,
}


@contextlib.asynccontextmanager
async def _echo(
    python: Path, script: str, plan: Plan, path: str, *, data_channel: bool = False
) -> AsyncIterator[BenchServer]:
    port = free_port()
    arguments = (str(python), str(ECHOES / script), str(port), str(plan.work_ms))
    process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            while b"ready" not in await process.stdout.readline():
                assert process.returncode is None, f"{script} ended before it was ready"
        called = functools.partial(_called, f"http://127.0.0.1:{port}{path}")
        yield BenchServer(pid=process.pid, called=called, data_channel=data_channel)
    finally:
        if process.returncode is None:
            process.kill()  # FastRTC waits for its connections to end
        await process.wait()


@contextlib.asynccontextmanager
async def _called(url: str, client: StampedClient) -> AsyncIterator[None]:
    async with aiohttp.ClientSession() as http:

        async def answer(offer: str) -> str:
            asked = {"sdp": offer, "type": "offer", "webrtc_id": "bench"}
            async with http.post(url, json=asked) as response:
                answered: dict[str, Any] = await response.json()
                return str(answered["sdp"])

        with only_loopback():
            await _until_listening(http, url)
            try:
                await client.call(answer)
                yield
            finally:
                await client.close()


async def _until_listening(http: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(START_S):
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with http.get(url):
                    return
            await asyncio.sleep(0.1)


def _environment(folder: Path) -> Path:
    """The Python of FastRTC's environment."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", FASTRTC], check=True)
    return python

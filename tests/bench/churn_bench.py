"""300 calls one after the other against a real server: `python -m tests.bench.churn_bench [cycles]`, from the root.

Each call is an aiortc peer with picture and sound that sees 3 pictures and ends its session. Every 50 cycles a
line of what the server's process holds; at the end the verdict: flat, or not, after the first 50.
"""

import asyncio
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from mirage_rtc import signing_key
from mirage_rtc.grants import Grants
from signaling import auth
from tests import media
from tests.browser import RunningServer, running_server
from tests.media import Clip
from tests.peers import Peer, only_loopback, signalled_call

HEADER = f"{'cycles':>7} {'RSS MB':>8} {'lanes MB':>8} {'threads':>8} {'fds':>5} {'tasks':>6} {'calls':>6}\n"
EVERY = 50
SETTLE_S = 3.0
RSS_SLACK_MB = 8.0
"""Growth of the resident memory over 250 calls that fragmentation explains; a leaked leg holds about 0.3 MB."""

SLACK = {"rss_mb": RSS_SLACK_MB, "lanes_mb": RSS_SLACK_MB, "threads": 4, "fds": 1}
"""A pool takes another thread when two jobs meet, up to its places; a connection of the bench may still be closing."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds."""

    rss_mb: float
    lanes_mb: float
    """Of the workers of its lanes, together."""
    threads: int
    fds: int
    tasks: int
    calls: int


async def held_by(server: RunningServer) -> Held:
    """The server's process now, by the kernel's word and by its own metrics."""
    async with aiohttp.ClientSession() as http, http.get(server.url + "/metrics") as answer:
        text = await answer.text()
    return Held(
        rss_mb=_rss_mb(server.pid),
        lanes_mb=sum(_rss_mb(child) for child in _children(server.pid)),
        threads=len(os.listdir(f"/proc/{server.pid}/task")),
        fds=len(os.listdir(f"/proc/{server.pid}/fd")),
        tasks=int(float(_found(r"^mirage_tasks (\S+)", text))),
        calls=int(float(_found(r"^mirage_calls (\S+)", text))),
    )


def _rss_mb(pid: int) -> float:
    return int(_found(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))) / 1024


def _children(pid: int) -> list[int]:
    """Processes that any of its threads started."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text(encoding="ascii").split()]


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match is not None, pattern
    return match.group(1)


def grown(first: Held, last: Held) -> list[str]:
    """What grew between two looks at an idle server, in words; empty when it is flat."""
    found = []
    for name in Held.__slots__:
        more = getattr(last, name) - getattr(first, name)
        if more > SLACK.get(name, 0):
            found.append(f"{name} by {more:.4g}")
    return found


async def cycle(server: RunningServer, key: bytes, clip: Clip, number: int) -> None:
    """One call from the link to its end, from an address of its own: a server lets each join once a second."""
    token = auth.mint(auth.link_key(key), f"churn-{number}", Grants(), 600, time.time())
    peer = Peer(clip, media.speech("man"))
    async with signalled_call(server.url, token, peer, source_ip=f"127.0.1.{number % 250 + 1}") as call:
        await peer.until_seen(3)
        await call.send(type="bye")


async def churn(server: RunningServer, cycles: int, every: int = EVERY) -> list[Held]:
    """Place `cycles` calls; what was held after each `every`, when the server had come to rest."""
    key, clip = signing_key.load_or_create(server.data_dir), media.talking_head("man_a", 256)
    looks = []
    for number in range(1, cycles + 1):
        await cycle(server, key, clip, number)
        if number % every == 0:
            await asyncio.sleep(SETTLE_S)
            looks.append(await held_by(server))
            _print_row(number, looks[-1])
    return looks


def _print_row(number: int, held: Held) -> None:
    sys.stdout.write(
        f"{number:7d} {held.rss_mb:8.1f} {held.lanes_mb:8.1f} {held.threads:8d} {held.fds:5d} {held.tasks:6d} "
        f"{held.calls:6d}\n"
    )
    sys.stdout.flush()


async def main(cycles: int = 300) -> int:
    """Print the table and the verdict; 1 when something grew."""
    with tempfile.TemporaryDirectory() as folder, only_loopback():
        async with running_server(Path(folder) / "data") as server:
            sys.stdout.write(HEADER)
            looks = await churn(server, cycles)
    growth = grown(looks[0], looks[-1])
    sys.stdout.write(f"after the first {EVERY}: {'grew ' + ', '.join(growth) if growth else 'flat'}\n")
    return int(bool(growth))


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*map(int, sys.argv[1:]))))

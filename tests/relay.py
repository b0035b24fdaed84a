"""A real coturn on loopback that can be stopped in the middle of a call: the network that is away for some seconds.

While it is stopped no media passes and the signalling socket stays up. Used by `test_interruption`.
"""

import asyncio
import contextlib
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

SECRET = "0123456789abcdef" * 4
TURNSERVER = shutil.which("turnserver")
_SETTINGS = """listening-ip=127.0.0.1
relay-ip=127.0.0.1
realm=mirage.test
use-auth-secret
fingerprint
no-tls
no-dtls
no-cli
allow-loopback-peers
no-multicast-peers
log-file=stdout
"""


@dataclass(frozen=True, slots=True)
class Relay:
    """A running relay and what a server must be told of it."""

    port: int
    process: asyncio.subprocess.Process

    @property
    def settings(self) -> dict[str, str]:
        """MIRAGE_* fields in lower case."""
        return {"turn_urls": f"turn:127.0.0.1:{self.port}", "turn_secret": SECRET}

    def interrupt(self) -> None:
        """From now on nothing passes; what comes in waits in the sockets' buffers."""
        self.process.send_signal(signal.SIGSTOP)

    def restore(self) -> None:
        """Everything passes again, beginning with what waited."""
        self.process.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def running_relay(folder: Path) -> AsyncIterator[Relay]:
    """coturn as `turn/README.md` has it, but for its peers: here they are on loopback."""
    assert TURNSERVER is not None, "install coturn from the distribution: apt-get install coturn"
    port = _free_port()
    config = _configuration(folder, port)
    process = await asyncio.create_subprocess_exec(
        TURNSERVER, "-c", str(config), cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    reading = asyncio.create_task(_read(process.stdout, started := asyncio.Event()))
    try:
        async with asyncio.timeout(90):
            await started.wait()
        yield Relay(port, process)
    finally:
        process.kill()
        await process.wait()
        await reading


def _configuration(folder: Path, port: int) -> Path:
    folder.mkdir(parents=True)
    path = folder / "turnserver.conf"
    own = f"listening-port={port}\nstatic-auth-secret={SECRET}\npidfile={folder / 'pid'}\nuserdb={folder / 'db'}\n"
    path.write_text(_SETTINGS + own, encoding="utf-8")
    return path


async def _read(log: asyncio.StreamReader, started: asyncio.Event) -> None:
    """Empty its log, so that it never waits for us."""
    async for line in log:
        if b"Total General servers" in line:
            started.set()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

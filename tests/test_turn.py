"""The shipped coturn configuration, run as it is but for its four values: whom it serves and where it relays to."""

import asyncio
import re
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aioice import stun
from aioice.turn import TurnClientUdpProtocol

from signaling.ice import servers

SHIPPED = Path(__file__).resolve().parent.parent / "turn" / "turnserver.conf"
SECRET = "0123456789abcdef" * 4
MIRAGE_HOST = "198.51.100.7"
VALUES = {
    "<public address>": "127.0.0.1",
    "<turn.example.org>": "mirage.test",
    "<64 hexadecimal digits>": SECRET,
    "<public address of the Mirage host>": MIRAGE_HOST,
}
HERE_ONLY = ("proc-user", "proc-group", "syslog", "cert", "pkey", "listening-port", "tls-listening-port")
"""Options that a test's machine answers otherwise: its user, its log, no certificate, free ports."""

pytestmark = pytest.mark.skipif(
    shutil.which("turnserver") is None, reason="coturn is not installed: run `apt-get install coturn`"
)


def filled_in(folder: Path, port: int) -> Path:
    """The shipped file with an operator's values, on loopback."""
    text = SHIPPED.read_text(encoding="utf-8")
    for mark in sorted(VALUES, key=len, reverse=True):
        assert mark in text
        text = text.replace(mark, VALUES[mark])
    lines = [line for line in text.splitlines() if line.split("=")[0] not in HERE_ONLY]
    lines += [f"listening-port={port}", "listening-ip=127.0.0.1", "relay-ip=127.0.0.1", "log-file=stdout", "no-tls"]
    lines += [f"pidfile={folder / 'pid'}", f"userdb={folder / 'db'}"]
    path = folder / "turnserver.conf"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def free_port() -> int:
    """A UDP port that nobody holds now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """coturn's port; ended after the tests of this file."""
    folder, port = tmp_path_factory.mktemp("turn"), free_port()
    command = ["turnserver", "-c", str(filled_in(folder, port))]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder) as coturn,
    ):
        _await_line(folder / "log", "Total General servers", coturn)
        yield port
        coturn.terminate()


def _await_line(log: Path, words: str, coturn: "subprocess.Popen[bytes]") -> None:
    for _ in range(1200):
        if words in log.read_text(errors="replace"):
            return
        assert coturn.poll() is None, log.read_text(errors="replace")
        time.sleep(0.05)
    pytest.fail(f"coturn did not start: {log.read_text(errors='replace')}")


def credentials(secret: str = SECRET, now_s: float | None = None) -> tuple[str, str]:
    """User and password as Mirage hands them to a caller."""
    at = time.time() if now_s is None else now_s
    [server] = servers(["turn:127.0.0.1"], secret, subject="ada", ttl_s=300, now_s=at)
    assert server.username is not None
    assert server.credential is not None
    return server.username, server.credential


@asynccontextmanager
async def allocation(port: int, user: str, password: str) -> AsyncIterator[TurnClientUdpProtocol]:
    """A caller's allocation on the relay."""
    address = ("127.0.0.1", port)
    transport, client = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: TurnClientUdpProtocol(
            address, username=user, password=password, lifetime=600, channel_refresh_time=500
        ),
        remote_addr=address,
    )
    try:
        await client.connect()
        try:
            yield client
        finally:
            await client.delete()
    finally:
        transport.close()


async def bind_channel(port: int, user: str, password: str, peer: str) -> None:
    """What a caller does to send to `peer` through the relay."""
    async with allocation(port, user, password) as client:
        await client.channel_bind(0x4000, (peer, 5000))


async def refusal(port: int, user: str, password: str, peer: str = MIRAGE_HOST) -> int:
    """The code with which the relay refuses an allocation, or a channel to `peer`."""
    with pytest.raises(stun.TransactionFailed) as caught:
        await bind_channel(port, user, password, peer)
    code: int = caught.value.response.attributes["ERROR-CODE"][0]
    return code


async def test_a_caller_with_mirage_s_credentials_reaches_the_mirage_host(relay: int) -> None:
    """The REST credentials that `signaling.ice` makes are the ones that coturn accepts."""
    await bind_channel(relay, *credentials(), MIRAGE_HOST)


@pytest.mark.parametrize(
    "peer",
    ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "198.51.100.8", "8.8.8.8"],
)
async def test_the_relay_reaches_nothing_else(relay: int, peer: str) -> None:
    """Not this machine, not a private network, not a cloud's metadata, not the rest of the world: 403."""
    assert await refusal(relay, *credentials(), peer=peer) == 403


async def test_a_wrong_secret_opens_nothing(relay: int) -> None:
    """401, and the same for credentials that have expired."""
    assert await refusal(relay, *credentials(secret="f" * 64)) == 401
    assert await refusal(relay, *credentials(now_s=time.time() - 3600)) == 401


def test_the_special_ranges_stay_denied_without_the_line_that_denies_everything() -> None:
    """For operators who let their callers relay to one another: every range of RFC 6890 is named by itself."""
    ranges = re.findall(r"^denied-peer-ip=(\S+)-(\S+)$", SHIPPED.read_text(encoding="utf-8"), re.MULTILINE)
    named = {low for low, _ in ranges}
    assert {"0.0.0.0", "10.0.0.0", "127.0.0.0", "169.254.0.0", "172.16.0.0", "192.168.0.0", "224.0.0.0"} <= named
    assert {"::", "::ffff:0:0", "64:ff9b::", "2002::", "fc00::", "fe80::", "ff00::"} <= named

"""A caller's network and a server's with a router between them that can stop forwarding: everything is lost, both ways,
and no interface goes down. Three network namespaces; needs root and iproute2. Used by `test_interruption`.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

POSSIBLE = os.geteuid() == 0 and shutil.which("ip") is not None

_NO_UDP = ("ipproto", "udp", "blackhole")


@dataclass(frozen=True, slots=True)
class Network:
    """Names and addresses; `caller` and `server` are command prefixes that run a program in their namespace."""

    name: str
    caller_ip: str = "10.77.1.1"
    server_ip: str = "10.77.2.1"

    @property
    def caller(self) -> tuple[str, ...]:
        """In front of a command of the caller's."""
        return ("ip", "netns", "exec", f"{self.name}-caller")

    @property
    def server(self) -> tuple[str, ...]:
        """In front of a command of the server's."""
        return ("ip", "netns", "exec", f"{self.name}-server")

    def interrupt(self) -> None:
        """From now on every packet between the two is lost."""
        self._forward(0)

    def restore(self) -> None:
        """Packets pass again."""
        self._forward(1)

    def interrupt_udp(self) -> None:
        """From now on every UDP packet over IPv4 is lost; TCP passes."""
        _run("ip", "-n", f"{self.name}-router", "rule", "add", *_NO_UDP)

    def restore_udp(self) -> None:
        """UDP passes again."""
        _run("ip", "-n", f"{self.name}-router", "rule", "del", *_NO_UDP)

    def _forward(self, on: int) -> None:
        settings = [f"net.ipv4.ip_forward={on}", f"net.ipv6.conf.all.forwarding={on}"]
        _run("ip", "netns", "exec", f"{self.name}-router", "sysctl", "-qw", *settings)


@contextlib.contextmanager
def routed_network() -> Iterator[Network]:
    """caller 10.77.1.1 and fd77:1::1 - router - server 10.77.2.1 and fd77:2::1; gone at the end, whatever ran in it."""
    network = Network(f"mirage{os.getpid()}")
    spaces = [f"{network.name}-{role}" for role in ("caller", "router", "server")]
    try:
        for space in spaces:
            _run("ip", "netns", "add", space)
            _run("ip", "-n", space, "link", "set", "lo", "up")
        _join(spaces[0], spaces[1], 1)
        _join(spaces[2], spaces[1], 2)
        network.restore()
        yield network
    finally:
        for space in spaces:
            subprocess.run(("ip", "netns", "del", space), capture_output=True, check=False)


def _join(host: str, router: str, number: int) -> None:
    """One wire: the host has .1 and ::1, the router .2 and ::2, and is the way to everywhere."""
    _run("ip", "-n", host, "link", "add", "wire", "type", "veth", "peer", "name", f"to{number}", "netns", router)
    for space, device, last in ((host, "wire", 1), (router, f"to{number}", 2)):
        _run("ip", "-n", space, "address", "add", f"10.77.{number}.{last}/24", "dev", device)
        _run("ip", "-n", space, "address", "add", f"fd77:{number}::{last}/64", "dev", device, "nodad")
        _run("ip", "-n", space, "link", "set", device, "up")
    _run("ip", "-n", host, "route", "add", "default", "via", f"10.77.{number}.2")
    _run("ip", "-n", host, "-6", "route", "add", "default", "via", f"fd77:{number}::2")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"

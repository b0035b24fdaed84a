"""Datagrams of strangers, before, during and after ICE: none reaches DTLS, and the call goes on."""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aioice import stun
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from mirage_rtc.aiortc_private.source_guard import MOST_PROVEN, SourceGuard, abort_sockets, guard
from mirage_rtc.grants import Grants
from mirage_rtc.registry import Registry
from mirage_rtc.session import Session
from tests.call_client import Caller, FlatCamera, ToneMicrophone, caller
from tests.call_parts import registry
from tests.peers import only_loopback
from tests.strangers import CLIENT_HELLO, RTP, SHORT_STUN, Stranger, Tap, ice_of, ports_of

JUNK = (CLIENT_HELLO, RTP, SHORT_STUN, b"")


@pytest.fixture(autouse=True)
def loopback() -> Iterator[None]:
    """Every peer of these tests is on 127.0.0.1."""
    with only_loopback():
        yield


def _refused(calls: Registry, reason: str) -> float:
    return float(calls._metrics.datagrams_refused.labels(reason)._value.get())


def _connection(session: Session) -> RTCPeerConnection:
    assert session._rtc is not None
    return session._rtc._connection


async def test_a_stranger_reaches_nothing_at_any_time_and_the_call_goes_on(tmp_path: Path) -> None:
    """Handshake records, RTP, broken STUN and empty datagrams are counted and dropped; pictures keep coming."""
    async with registry(tmp_path) as (calls, _), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        with Stranger() as stranger:
            answer, tap = await _answered(peer, session)
            stranger.send(_connection(session), *JUNK)  # before the peer knows where to send
            await asyncio.sleep(0.1)
            connecting = asyncio.create_task(_connect(peer, answer))
            while not connecting.done() or not peer.shades:
                stranger.send(_connection(session), *JUNK)  # during ICE and DTLS
                await asyncio.sleep(0.01)
            for _ in range(20):
                stranger.send(_connection(session), *JUNK)
            seen = len(peer.shades)
            await peer.until(lambda: len(peer.shades) > seen + 20)
            state = _connection(session).connectionState

    assert not {CLIENT_HELLO, RTP, SHORT_STUN, b""} & set(tap.taken)
    assert len(tap.taken) > 50
    assert _refused(calls, "stranger") >= 2 * 20
    assert _refused(calls, "malformed") >= 2 * 20
    assert state == "connected"


async def _answered(peer: Caller, session: Session) -> tuple[str, Tap]:
    peer.connection.addTrack(peer.camera)
    peer.connection.addTrack(ToneMicrophone())
    await peer.connection.setLocalDescription(await peer.connection.createOffer())
    answer = await session.negotiate(peer.connection.localDescription.sdp)
    return answer, Tap(_connection(session))


async def _connect(peer: Caller, answer: str) -> None:
    await peer.connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))


async def test_checks_without_the_password_open_nothing(tmp_path: Path) -> None:
    """A binding request that is not signed is answered 400, a wrongly signed one 401; no pair is made of either."""
    async with registry(tmp_path) as (calls, _), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        await peer.call(session)
        await peer.until(lambda: len(peer.shades) > 5)
        ice = ice_of(_connection(session))
        pairs = len(ice._check_list)
        with Stranger() as stranger:
            stranger.send(
                _connection(session), bytes(_request()), bytes(_request(user=ice.local_username, key="x" * 22))
            )
            sockets, answers = len(ports_of(_connection(session))), list[bytes]()
            while len(answers) < 2 * sockets:
                await asyncio.sleep(0.02)
                answers += stranger.received()
            stranger.send(_connection(session), RTP)
            await _until(lambda: _refused(calls, "stranger") >= sockets)
            codes = [stun.parse_message(answer).attributes["ERROR-CODE"][0] for answer in answers]

        assert set(codes) == {400, 401}
        assert len(ice._check_list) == pairs
        assert _refused(calls, "stranger") == len(codes) / 2  # one a socket


def _request(user: str | None = None, key: str = "") -> stun.Message:
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    request.attributes["PRIORITY"] = 1
    if user is not None:
        request.attributes["USERNAME"] = f"{user}:abcd"
        request.add_message_integrity(key.encode())
    return request


async def test_who_knows_the_password_may_send_at_once() -> None:
    """DTLS right behind a signed check is taken, before the server's own check of that address is answered."""
    async with _two_peers() as (guarded, other):
        refused: list[str] = []
        guard(guarded, on_refused=refused.append)
        await _negotiate(guarded, other)
        ice = ice_of(guarded)
        signed = _request()
        signed.attributes |= {"USERNAME": f"{ice.local_username}:{ice.remote_username}", "ICE-CONTROLLING": 1}
        signed.add_message_integrity(ice.local_password.encode())
        tap = Tap(guarded)
        with Stranger() as moved:  # the peer behind another address
            moved.send(guarded, bytes(signed), RTP)
            await _until(lambda: RTP in tap.taken)

        assert refused == []
        assert guarded.connectionState == "connected"


async def test_the_addresses_that_one_caller_may_prove_are_bounded() -> None:
    """Whoever knows the password and forges addresses fills nothing: the 65th is not looked at."""
    async with _two_peers() as (guarded, other):
        refused: list[str] = []
        guard(guarded, on_refused=refused.append)
        await _negotiate(guarded, other)
        ice = ice_of(guarded)
        message = _request(user="x", key="y" * 22)
        for port in range(1000, 1100):
            ice.check_incoming(message, ("127.0.0.2", port), ice._protocols[0])

        assert len(ice._check_list) <= MOST_PROVEN + 2
        assert len(refused) >= 100 - MOST_PROVEN


async def test_a_pair_that_is_nominated_later_is_heard() -> None:
    """The source of a nominated pair passes without having sent a check of its own."""
    ice = _FakeIce()
    guarded: Any = SourceGuard(ice, lambda _: None, lambda: None)
    ice._nominated = {1: _FakePair(ice._protocols[0], ("192.0.2.1", 5))}
    ice._protocols[0].datagram_received(b"\x80rtp", ("192.0.2.1", 5, 0, 0))
    ice._protocols[0].datagram_received(b"\x80rtp", ("192.0.2.1", 6))
    ice._nominated = {1: _FakePair(ice._protocols[0], ("192.0.2.1", 6))}
    ice._protocols[0].datagram_received(b"\x80new", ("192.0.2.1", 6))

    assert ice.delivered == [b"\x80rtp", b"\x80new"]
    assert guarded is not None


async def test_a_check_of_the_peers_makes_ours_go_out_again() -> None:
    """Upstream would wait up to 16 s for an answer to what was lost while the network was away."""
    ice = _FakeIce()
    SourceGuard(ice, lambda _: None, lambda: None)
    ice.expected = 1
    socket, here, elsewhere = ice._protocols[0], ("192.0.2.1", 5), ("192.0.2.1", 6)
    for addr in (here, elsewhere):
        request = _request(user="x", key="y" * 22)
        socket.transactions[request.transaction_id] = stun.Transaction(request, addr, socket)
    ice.check_incoming(_request(), here, socket)

    assert [addr for _, addr in socket.sent] == [here]


def test_upstream_still_waits_ever_longer() -> None:
    """A lost check is sent again after 0.5, 1, 2, 4, 8 and 16 s. When this fails, read it again."""
    assert (stun.RETRY_RTO, stun.RETRY_MAX) == (0.5, 6)


async def test_what_came_before_the_guard_is_thrown_away() -> None:
    """Nobody can have known the address: it was a stranger's."""
    ice = _FakeIce()
    ice._queue.put_nowait((CLIENT_HELLO, 1))
    refused: list[str] = []
    SourceGuard(ice, refused.append, lambda: None)

    assert ice._queue.empty()
    assert refused == ["stranger"]


async def test_upstream_still_takes_strangers_for_peers() -> None:
    """Without the guard their datagrams reach DTLS. When this fails, upstream has mended it: read it again."""
    async with _two_peers() as (plain, other):
        await _negotiate(plain, other)
        tap = Tap(plain)
        with Stranger() as stranger:
            stranger.send(plain, CLIENT_HELLO)
            await _until(lambda: CLIENT_HELLO in tap.taken)


async def test_upstream_still_ends_the_call_at_an_empty_datagram() -> None:
    """One byte less than one, from anybody: `data[0]`. And its STUN parser raises what it does not catch."""
    async with _two_peers() as (plain, other):
        await _negotiate(plain, other)
        with Stranger() as stranger:
            stranger.send(plain, b"")
            await _until(lambda: plain.connectionState == "closed")
    with pytest.raises(struct.error):
        stun.parse_message(SHORT_STUN)


async def test_sockets_are_cut_when_a_close_hangs() -> None:
    """Whatever upstream waits for, the ports are free at once."""
    async with _two_peers() as (plain, other):
        await _negotiate(plain, other)
        assert ports_of(plain)
        abort_sockets(plain)
        assert all(each.transport.is_closing() for each in ice_of(plain)._protocols)


class _FakePair:
    def __init__(self, protocol: Any, remote_addr: tuple[str, int]) -> None:
        self.protocol, self.remote_addr, self.state = protocol, remote_addr, None


class _FakeSocket:
    """Hands everything on as upstream does with what is no STUN message."""

    def __init__(self, ice: "_FakeIce") -> None:
        self._ice: Any = ice
        self.transactions: dict[bytes, stun.Transaction] = {}
        self.sent: list[tuple[stun.Message, tuple[str, int]]] = []

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        self.sent.append((message, addr))

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._ice.data_received(data, 1)


class _FakeIce:
    """The attributes of an aioice connection that the guard touches."""

    def __init__(self) -> None:
        self.delivered: list[bytes] = []
        self.expected = 0
        self._queue: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue()
        self._nominated: dict[int, _FakePair] = {}
        self._check_list: list[_FakePair] = []
        self._protocols = [_FakeSocket(self)]

    def data_received(self, data: bytes, component: int) -> None:
        self.delivered.append(data)

    def check_incoming(self, *_: Any) -> None:
        self.expected -= 1
        assert self.expected >= 0


@asynccontextmanager
async def _two_peers() -> AsyncIterator[tuple[RTCPeerConnection, RTCPeerConnection]]:
    """Two peers on loopback: the first one has answered and waits for the second to take its answer."""
    answering, offering = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    offering.addTrack(FlatCamera())
    await offering.setLocalDescription(await offering.createOffer())
    await answering.setRemoteDescription(offering.localDescription)
    await answering.setLocalDescription(await answering.createAnswer())
    try:
        yield answering, offering
    finally:
        await asyncio.gather(answering.close(), offering.close())


async def _negotiate(answering: RTCPeerConnection, offering: RTCPeerConnection) -> None:
    await offering.setRemoteDescription(answering.localDescription)
    await _until(lambda: answering.connectionState == offering.connectionState == "connected")


async def _until(condition: Any, within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.02)

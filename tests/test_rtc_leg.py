"""The WebRTC leg's own rules: codecs, candidates, a peer that dies."""

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from mirage_rtc import rtc_leg
from mirage_rtc.aiortc_private.sender import EncoderSettings
from mirage_rtc.errors import BadInput
from mirage_rtc.grants import Grants
from mirage_rtc.rtc_leg import Encoding, RtcLeg
from mirage_rtc.session_events import Notice, SessionEvent
from tests.call_client import FlatCamera, caller
from tests.call_parts import Hands, lanes, leg_parts, registry
from tests.strangers import ice_of


def _encoding(codec: str, threads: ThreadPoolExecutor, ips: tuple[str, ...] = ()) -> Encoding:
    settings = EncoderSettings(threads=threads, kbps_start=800, kbps_max=1200)
    return Encoding(codec=codec, settings=settings, advertise_ips=ips)


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_the_answer_prefers_the_configured_codec_and_has_no_remb(codec: str) -> None:
    """The first payload type of the answer is the codec's; public addresses are named; REMB is gone."""
    async with lanes() as (face, voice):
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTrack(FlatCamera())
        await peer.setLocalDescription(await peer.createOffer())
        with ThreadPoolExecutor(1) as threads:
            encoding = _encoding(codec, threads, ("203.0.113.9",))
            leg = RtcLeg(leg_parts(face, voice, Hands()), encoding=encoding, on_lost=lambda *_: None)
            answer = await leg.answer(peer.localDescription.sdp)
            await leg.close()
        await peer.close()
    first = next(line for line in answer.splitlines() if line.startswith("m=video")).split(" ")[3]

    assert f"a=rtpmap:{first} {codec.upper()}/90000" in answer
    assert "goog-remb" not in answer
    assert "203.0.113.9" in answer


async def test_two_cameras_in_one_offer_are_refused() -> None:
    """One person, one picture."""
    async with lanes() as (face, voice):
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTrack(FlatCamera())
        peer.addTrack(FlatCamera())
        await peer.setLocalDescription(await peer.createOffer())
        with ThreadPoolExecutor(1) as threads:
            leg = RtcLeg(leg_parts(face, voice, Hands()), encoding=_encoding("h264", threads), on_lost=lambda *_: None)
            with pytest.raises(BadInput) as refused:
                await leg.answer(peer.localDescription.sdp)
            await leg.close()
        await peer.close()

    assert refused.value.code == "offer_bad"


async def test_candidates_are_taken_or_refused() -> None:
    """A browser's line parses; nonsense is coded."""
    line = "candidate:1 1 udp 2122260223 127.0.0.1 50000 typ host generation 0 ufrag abcd"
    async with lanes() as (face, voice):
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTrack(FlatCamera())
        await peer.setLocalDescription(await peer.createOffer())
        with ThreadPoolExecutor(1) as threads:
            leg = RtcLeg(leg_parts(face, voice, Hands()), encoding=_encoding("h264", threads), on_lost=lambda *_: None)
            await leg.answer(peer.localDescription.sdp)
            await leg.add_candidate(line, "0", 0)
            with pytest.raises(BadInput) as refused:
                await leg.add_candidate("candidate:nonsense", "0", 0)
            await leg.add_candidate("", None, None)
            await leg.close()
        await peer.close()

    assert refused.value.code == "candidate_bad"


async def test_a_peer_that_falls_silent_is_given_up_and_the_session_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When neither RTP nor RTCP comes the media ends with a notice; the session stays for the reconnect."""
    events: list[SessionEvent] = []
    async with registry(tmp_path) as (calls, _), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        session.attach(events.append)
        await peer.call(session)
        await peer.until(lambda: len(peer.shades) > 5)
        monkeypatch.setattr(rtc_leg, "SILENT_S", 1.5)  # not before: a busy machine is silent for so long, too
        for transceiver in peer.connection.getTransceivers():  # a dead peer says no good-bye
            transceiver.sender.transport._send_rtp = _drop  # type: ignore[method-assign]
        await peer.until(lambda: session.state().transport == "none")
        assert not session.closed

    assert [event.code for event in events if isinstance(event, Notice)] == ["peer_silent"]


async def test_the_codecs_of_a_closed_leg_wait_for_no_collector(tmp_path: Path) -> None:
    """Their memory and their threads are freed with the connection, though its other objects hold each other."""
    async with registry(tmp_path) as (calls, _), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        await peer.call(session)
        await peer.until(lambda: len(peer.shades) > 5 and len(peer.peaks) > 5)
        leg = session._rtc
        assert leg is not None
        codecs = [weakref.ref(sender._encoder._codec) for sender in leg._senders.values()]
        assert [codec() is None for codec in codecs] == [False, False]
        gc.disable()
        try:
            await leg.close()
            assert [codec() is None for codec in codecs] == [True, True]
        finally:
            gc.enable()


async def test_a_candidate_of_another_offer_is_ignored() -> None:
    """A line that names another ufrag than the offer never reaches ICE; one that names this one, or none, does."""
    async with _answered_leg() as (leg, offer):
        ufrag = next(line for line in offer.splitlines() if line.startswith("a=ice-ufrag:")).partition(":")[2]
        ice = leg._connection.getTransceivers()[0].receiver.transport.transport
        for port, named in ((50_001, " ufrag stale"), (50_002, f" ufrag {ufrag} network-cost 10"), (50_003, "")):
            line = f"candidate:1 1 udp 2122260223 127.0.0.1 {port} typ host generation 0{named}"
            await leg.add_candidate(line, "0", 0)
        ports = {candidate.port for candidate in ice.getRemoteCandidates()}

    assert 50_001 not in ports
    assert {50_002, 50_003} <= ports


async def test_a_candidate_of_no_section_is_refused() -> None:
    """Neither a mid nor an index: aiortc would raise."""
    async with _answered_leg() as (leg, _):
        with pytest.raises(BadInput) as refused:
            await leg.add_candidate("candidate:1 1 udp 2122260223 127.0.0.1 50000 typ host", None, None)

    assert refused.value.code == "candidate_bad"


async def test_close_ends_and_frees_the_ports_when_aiortc_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever aiortc waits for, the leg ends, and its sockets are shut."""
    monkeypatch.setattr(rtc_leg, "CLOSE_S", 0.1)
    async with _answered_leg() as (leg, _):
        sockets = list(ice_of(leg._connection)._protocols)
        hanging = leg._connection.close
        monkeypatch.setattr(leg._connection, "close", asyncio.Event().wait)
        async with asyncio.timeout(60):
            await leg.close()
        assert sockets
        assert all(each.transport.is_closing() for each in sockets)
        assert leg.leg._tasks == set()
        await hanging()


@contextlib.asynccontextmanager
async def _answered_leg() -> AsyncIterator[tuple[RtcLeg, str]]:
    """A leg that answered a camera's offer, and the offer; nobody takes the answer."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTrack(FlatCamera())
    await peer.setLocalDescription(await peer.createOffer())
    offer = peer.localDescription.sdp.replace("a=end-of-candidates\r\n", "")  # more may be trickled
    with ThreadPoolExecutor(1) as threads:
        async with lanes() as (face, voice):
            leg = RtcLeg(leg_parts(face, voice, Hands()), encoding=_encoding("h264", threads), on_lost=lambda *_: None)
            await leg.answer(offer)
            yield leg, offer
            await leg.close()
    await peer.close()


async def _drop(data: bytes) -> None:
    await asyncio.sleep(0)

"""The WebRTC leg's own rules: codecs, candidates, a peer that dies."""

import asyncio
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
    monkeypatch.setattr(rtc_leg, "SILENT_S", 1.5)
    monkeypatch.setattr(rtc_leg, "CONNECT_S", 0.5)
    events: list[SessionEvent] = []
    async with registry(tmp_path) as (calls, _), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        session.attach(events.append)
        await peer.call(session)
        await peer.until(lambda: len(peer.shades) > 5)
        for transceiver in peer.connection.getTransceivers():  # a dead peer says no good-bye
            transceiver.sender.transport._send_rtp = _drop  # type: ignore[method-assign]
        await peer.until(lambda: session.state().transport == "none")
        assert not session.closed

    assert [event.code for event in events if isinstance(event, Notice)] == ["peer_silent"]


async def _drop(data: bytes) -> None:
    await asyncio.sleep(0)

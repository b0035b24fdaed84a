"""Senders that are held while the peer's network is away."""

import asyncio
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from mirage_rtc import rtc_leg
from mirage_rtc.aiortc_private.pause import Pause
from mirage_rtc.grants import Grants
from tests.call_client import caller
from tests.call_parts import registry


async def test_only_what_was_on_is_switched_on_again() -> None:
    """A direction that the negotiation switched off stays off; a picture begins with a key frame."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    on, off = (connection.addTransceiver("video").sender for _ in range(2))
    off._enabled = False
    pause = Pause(connection)
    pause.set(True)
    assert not on._enabled
    pause.set(False)

    assert on._enabled
    assert not off._enabled
    assert on._RTCRtpSender__force_keyframe
    await connection.close()


async def test_nothing_is_sent_to_a_peer_whose_network_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It neither costs a codec nor comes in a heap later; when the peer is heard again the same call goes on."""
    async with registry(tmp_path) as (calls, _), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        await peer.call(session)
        await peer.until(lambda: len(peer.shades) > 20)
        leg = session._rtc
        monkeypatch.setattr(rtc_leg, "SILENT_S", 60.0)  # a busy machine may need longer than what is ridden out
        with monkeypatch.context() as patch:
            for transceiver in peer.connection.getTransceivers():
                patch.setattr(transceiver.sender.transport, "_send_rtp", _lose)
            seen = -1
            while seen < len(peer.shades):
                seen = len(peer.shades)
                await asyncio.sleep(0.5)
        await peer.until(lambda: len(peer.shades) > seen + 20)

        assert session._rtc is leg


async def _lose(data: bytes) -> None:
    await asyncio.sleep(0)

"""The answers to the offers that browsers make, and calls with one codec only, with packets lost on the way back."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender
from aiortc.rtp import RtpPacket

from mirage_rtc.aiortc_private.sender import EncoderSettings
from mirage_rtc.errors import BadInput
from mirage_rtc.grants import Grants
from mirage_rtc.rtc_leg import Encoding, RtcLeg
from tests.call_client import FlatCamera, ToneMicrophone, caller
from tests.call_parts import Hands, lanes, leg_parts, registry


def _vp8(kind: int) -> list[str]:
    return [f"a=rtpmap:{kind} VP8/90000", f"a=rtpmap:{kind + 1} rtx/90000", f"a=fmtp:{kind + 1} apt={kind}"]


def _h264(kind: int, profile: str, mode: int) -> list[str]:
    parameters = f"level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile}"
    return [f"a=rtpmap:{kind} H264/90000", f"a=fmtp:{kind} {parameters}"]


CHROMIUM = [
    *_vp8(96),
    *_h264(102, "42001f", 1),
    *_h264(104, "42001f", 0),
    *_h264(106, "42e01f", 1),
    *_h264(39, "64001f", 1),
]
SAFARI = [*_h264(96, "640c1f", 1), *_h264(98, "42e01f", 1), *_h264(100, "640c1f", 0), *_vp8(104)]
FIREFOX = [*_vp8(120), *_h264(126, "42e01f", 1), *_h264(97, "42e01f", 0)]


async def _offer(video: list[str], *, opus: str = "") -> str:
    """aiortc's offer of a camera and a microphone, with other video codecs, and something to say about Opus."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTrack(ToneMicrophone())
    peer.addTrack(FlatCamera())
    await peer.setLocalDescription(await peer.createOffer())
    sdp = peer.localDescription.sdp
    await peer.close()
    sound, pictures = sdp.split("m=video", 1)
    kinds = [line.split(" ")[0].split(":")[1] for line in video if line.startswith("a=rtpmap")]
    first, *rest = pictures.split("\r\n")
    kept = [line for line in rest if not line.startswith(("a=rtpmap", "a=fmtp", "a=rtcp-fb"))]
    lines = [" ".join([*first.split(" ")[:3], *kinds]), *kept[:-1], *video, ""]
    return sound.replace("opus/48000/2\r\n", f"opus/48000/2\r\n{opus}") + "m=video" + "\r\n".join(lines)


async def _answer(offer: str, codec: str = "h264") -> tuple[str, Any]:
    """What a leg answers, and the leg, closed."""
    async with lanes() as (face, voice):
        with ThreadPoolExecutor(1) as threads:
            encoding = Encoding(codec=codec, settings=EncoderSettings(threads=threads, kbps_start=800, kbps_max=1200))
            leg = RtcLeg(leg_parts(face, voice, Hands()), encoding=encoding, on_lost=lambda *_: None)
            try:
                return await leg.answer(offer), leg
            finally:
                await leg.close()


@pytest.mark.parametrize(
    ("video", "codec", "kind", "name"),
    [
        (CHROMIUM, "h264", "102", "H264"),
        (CHROMIUM, "vp8", "96", "VP8"),
        (SAFARI, "h264", "98", "H264"),
        (FIREFOX, "h264", "126", "H264"),
        (_vp8(96), "h264", "96", "VP8"),
        (_h264(102, "42e01f", 1), "vp8", "102", "H264"),
        ([*_h264(102, "42e01f", 0), *_vp8(96)], "h264", "96", "VP8"),
        ([*_h264(102, "640c1f", 1), *_vp8(96)], "h264", "96", "VP8"),
    ],
    ids=["chromium", "chromium-vp8", "safari", "firefox", "vp8-only", "h264-only", "mode-0-and-vp8", "high-and-vp8"],
)
async def test_the_answer_names_what_the_peer_can_decode(video: list[str], codec: str, kind: str, name: str) -> None:
    """The configured codec first; H.264 only as Constrained Baseline in packetization mode 1, which is what we send."""
    answer, _ = await _answer(await _offer(video), codec)
    pictures = answer.split("m=video", 1)[1].split("\r\n")

    assert pictures[0].split(" ")[3] == kind
    assert f"a=rtpmap:{kind} {name}/90000" in pictures
    assert all("packetization-mode=1" in line for line in pictures if "profile-level-id" in line)
    assert all("=42" in line for line in pictures if "profile-level-id" in line)


@pytest.mark.parametrize("video", [_h264(102, "42e01f", 0), _h264(102, "640c1f", 1)], ids=["mode-0", "high"])
async def test_an_offer_of_nothing_that_we_send_is_refused(video: list[str]) -> None:
    """A peer without fragmentation is not sent fragments; it is told."""
    with pytest.raises(BadInput) as refused:
        await _answer(await _offer(video))

    assert refused.value.code == "offer_bad"


async def test_redundancy_is_sent_where_it_is_asked_for_and_never_asked_of_the_peer() -> None:
    """Browsers say useinbandfec=1 of what they receive; our decoder cannot use it, so our answer does not say it."""
    for fmtp, redundancy in (("a=fmtp:96 minptime=10;useinbandfec=1\r\n", True), ("", False)):
        answer, leg = await _answer(await _offer(_vp8(96), opus=fmtp))
        assert leg._senders["audio"]._encoder._wishes.redundancy == redundancy
        assert "useinbandfec" not in answer


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_call_with_one_codec_shows_pictures_though_packets_are_lost(tmp_path: Path, codec: str) -> None:
    """Every tenth packet of the picture is lost on its way to the caller: it is sent again, on the stream for that."""
    codecs = [known for known in RTCRtpSender.getCapabilities("video").codecs if known.name in (codec, "rtx")]
    kinds: list[int] = []
    async with registry(tmp_path, video_codec="h264" if codec == "VP8" else "vp8") as (calls, _), caller() as peer:
        session = await calls.admit(subject="x", grants=Grants())
        transceiver = peer.connection.addTransceiver(peer.camera, direction="sendrecv")
        transceiver.setCodecPreferences(codecs)
        receiver = cast("Any", transceiver.receiver)
        take = receiver._handle_rtp_packet

        async def lossy(packet: RtpPacket, arrival_time_ms: int) -> None:
            kinds.append(packet.payload_type)
            if len(kinds) % 10:
                await take(packet, arrival_time_ms)

        receiver._handle_rtp_packet = lossy
        await peer.call(session, camera=False)
        await peer.until(lambda: len(peer.shades) > 60)
        names = {kind: params.name for kind, params in receiver._RTCRtpReceiver__codecs.items()}

    assert {names[kind] for kind in kinds} == {codec, "rtx"}

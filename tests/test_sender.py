"""The tuned sender, on a real aiortc sender with a transport that records."""

import inspect
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    compute_audio_level_dbov,
    pack_remb_fci,
)
from av import AudioFrame, VideoFrame

from mirage_rtc.aiortc_private.sender import EncoderSettings, TunedSender, audio_level_dbov, ntp_timestamp
from tests.rtp_wire import Wire

H264 = RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=97)
TOUCHED = (
    "__track __force_keyframe _ssrc __rtp_timestamp __rtp_history __lsr "
    "_send_keyframe _next_encoded_frame _send_rtcp _retransmit"
)


def test_upstream_still_has_the_private_names() -> None:
    """Every private name that is touched is used by upstream's own code."""
    source = inspect.getsource(RTCRtpSender)

    assert [name for name in TOUCHED.split() if f"self.{name}" not in source and f"def {name}" not in source] == []


class Still(MediaStreamTrack):
    """A track of one grey with a generation, as our own tracks have."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.generation = 0
        self.capture_s = 50.0
        self.stale = False
        self.broken = False
        self._pts = 0

    async def recv(self) -> VideoFrame:
        """The next picture."""
        self._pts += 4500
        self.capture_s += 0.05
        frame = VideoFrame.from_ndarray(np.full((96, 64), 90, np.uint8), format="yuv420p")
        frame.pts, frame.time_base = None if self.broken else self._pts, Fraction(1, 90_000)
        return frame

    def is_stale(self) -> bool:
        """As the test says."""
        return self.stale


def _tuned(threads: ThreadPoolExecutor) -> tuple[TunedSender, Still, Any, Wire]:
    track, wire = Still(), Wire()
    upstream: Any = RTCRtpSender(track, wire)  # type: ignore[arg-type]
    settings = EncoderSettings(threads=threads, kbps_start=500, kbps_max=900)
    tuned = TunedSender(upstream, track, settings, wall_offset_s=1_000_000.0, on_feedback=lambda: None)
    return tuned, track, upstream, wire


def _is_key(frame: Any) -> bool:
    return any(payload[0] & 0x1F in (5, 7, 24) for payload in frame.payloads)


async def test_what_became_stale_while_it_was_encoded_is_dropped_and_the_next_is_a_key_frame() -> None:
    """A picture of the past is not sent, and nothing sent later refers to it."""
    with ThreadPoolExecutor(1) as threads:
        _, track, upstream, _ = _tuned(threads)
        first = await upstream._next_encoded_frame(H264)
        second = await upstream._next_encoded_frame(H264)
        track.stale = True
        dropped = await upstream._next_encoded_frame(H264)
        track.stale, track.generation = False, 1
        third = await upstream._next_encoded_frame(H264)

    assert _is_key(first)
    assert not _is_key(second)
    assert dropped is None
    assert _is_key(third)


async def test_packets_of_the_past_are_not_sent_again() -> None:
    """A NACK after a change of generation finds an empty history, and before it a stale source."""
    with ThreadPoolExecutor(1) as threads:
        _, track, upstream, wire = _tuned(threads)
        await upstream._next_encoded_frame(H264)
        upstream._RTCRtpSender__rtp_history[5] = object()
        track.stale = True
        await upstream._retransmit(5)
        track.stale, track.generation = False, 1
        await upstream._next_encoded_frame(H264)
        history = dict(upstream._RTCRtpSender__rtp_history)

    assert wire.sent == []
    assert history == {}


async def test_an_encoder_that_raises_does_not_end_the_sender() -> None:
    """A picture that cannot be encoded is skipped; the next one comes from a new encoder, as a key frame."""
    with ThreadPoolExecutor(1) as threads:
        _, track, upstream, _ = _tuned(threads)
        await upstream._next_encoded_frame(H264)
        track.broken = True
        assert await upstream._next_encoded_frame(H264) is None
        track.broken = False
        assert _is_key(await upstream._next_encoded_frame(H264))


async def test_sender_reports_carry_the_time_of_capture() -> None:
    """The RTP timestamp of the last frame is paired with when it was captured, not with when it was sent."""
    report = RtcpSrPacket(
        ssrc=1, sender_info=RtcpSenderInfo(ntp_timestamp=9, rtp_timestamp=9, packet_count=1, octet_count=1)
    )
    with ThreadPoolExecutor(1) as threads:
        _, track, upstream, wire = _tuned(threads)
        await upstream._send_rtcp([report])
        assert wire.sent == []  # nothing to pair yet
        await upstream._next_encoded_frame(H264)
        captured_s = track.capture_s
        upstream._RTCRtpSender__rtp_timestamp = 123_456  # upstream notes it as the frame leaves
        await upstream._next_encoded_frame(H264)
        await upstream._send_rtcp([report])

    assert len(wire.sent) == 1
    assert report.sender_info.rtp_timestamp == 123_456
    assert report.sender_info.ntp_timestamp == ntp_timestamp(1_000_000.0 + captured_s)
    assert upstream._RTCRtpSender__lsr == (report.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF


async def test_the_bitrate_follows_reported_loss_and_no_remb() -> None:
    """A fifth of the packets lost lowers the target; an estimate of the peer's does not change it."""
    lossy = RtcpReceiverInfo(ssrc=0, fraction_lost=51, packets_lost=9, highest_sequence=0, jitter=0, lsr=0, dlsr=0)
    with ThreadPoolExecutor(1) as threads:
        tuned, _, upstream, _ = _tuned(threads)
        await upstream._next_encoded_frame(H264)
        before = tuned._encoder.target_bitrate
        fci = pack_remb_fci(160_000, [upstream._ssrc])
        await upstream._handle_rtcp_packet(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci))
        assert tuned._encoder.target_bitrate == before
        lossy.ssrc = upstream._ssrc
        await upstream._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[lossy]))

    assert before == 500_000
    assert 440_000 < tuned._encoder.target_bitrate < 460_000


@pytest.mark.parametrize("peak", [0, 10, 3000, 32000])
def test_the_audio_level_is_upstreams(peak: int) -> None:
    """The numpy level equals aiortc's own sample loop, and silence is -127."""
    pcm = np.random.default_rng(3).integers(-peak, peak + 1, (1, 960), dtype=np.int16)
    frame = AudioFrame.from_ndarray(pcm, format="s16", layout="mono")

    assert abs(audio_level_dbov(frame) - compute_audio_level_dbov(frame)) <= 1

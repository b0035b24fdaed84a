"""Which encoder a sender gets, where it runs, and what becomes of it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aiortc.codecs.g722 import G722Encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import compute_audio_level_dbov
from av import AudioFrame, VideoFrame

from mirage_rtc.aiortc_private import frame_encoder
from mirage_rtc.aiortc_private.frame_encoder import EncoderSettings, FrameEncoder, audio_level_dbov, packetize_h264
from mirage_rtc.h264_encoder import NVENC, RealtimeH264Encoder
from mirage_rtc.opus_encoder import VoiceEncoder
from mirage_rtc.vp8_encoder import RealtimeVp8Encoder

CODECS = {
    "H264": RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=97),
    "VP8": RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=98),
    "opus": RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, channels=2, payloadType=96),
    "G722": RTCRtpCodecParameters(mimeType="audio/G722", clockRate=8000, channels=1, payloadType=9),
}


def _encoder(threads: ThreadPoolExecutor, h264: str = "libx264") -> FrameEncoder:
    settings = EncoderSettings(threads=threads, kbps_start=500, kbps_max=900, h264=h264)
    return FrameEncoder(settings, {"useinbandfec": 1})


def _picture(n: int = 0) -> VideoFrame:
    frame = VideoFrame.from_ndarray(np.full((96, 64), 90 + n, np.uint8), format="yuv420p")
    frame.pts, frame.time_base = n * 4500, Fraction(1, 90_000)
    return frame


def _sound(n: int = 0) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.full((1, 960), 7, np.int16), format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, n * 960, Fraction(1, 48_000)
    return frame


@pytest.mark.parametrize(
    ("name", "kind"),
    [("H264", RealtimeH264Encoder), ("VP8", RealtimeVp8Encoder), ("opus", VoiceEncoder), ("G722", G722Encoder)],
)
async def test_each_codec_has_its_encoder(name: str, kind: type[Any]) -> None:
    """Ours for three, upstream's for the rest; pictures are encoded in our threads, sound on the loop."""
    ran_in: list[str] = []
    with ThreadPoolExecutor(1, thread_name_prefix="encode") as threads:
        encoder = _encoder(threads)
        made: Any = encoder._for(CODECS[name])
        encode = made.encode

        def note(*args: Any) -> Any:
            ran_in.append(threading.current_thread().name)
            return encode(*args)

        made.encode = note
        payloads, timestamp = await encoder.encode(
            CODECS[name], _picture() if kind.__name__.startswith("R") else _sound(), True
        )

    assert isinstance(made, kind)
    assert payloads or name == "G722"  # it wants more than one frame before it gives any
    assert not timestamp
    assert ran_in[0].startswith("encode" if kind.__name__.startswith("R") else "Main")


async def test_loss_reaches_a_later_encoder_too() -> None:
    """The rate found so far outlives an encoder that failed; the voice encoder is told of the loss."""
    with ThreadPoolExecutor(1) as threads:
        encoder = _encoder(threads)
        encoder.note_loss(0.5)
        await encoder.encode(CODECS["H264"], _picture(), True)
        assert encoder._codec.target_bitrate == encoder.target_bps == 375_000
        encoder.give_up()
        await encoder.encode(CODECS["H264"], _picture(), True)
        assert encoder._codec.target_bitrate == 375_000
        voice = _encoder(threads)
        await voice.encode(CODECS["opus"], _sound(), False)
        voice.note_loss(0.5)
        await voice.encode(CODECS["opus"], _sound(1), False)
        assert voice._codec.loss == 0.2


async def test_hardware_that_fails_in_a_call_gives_way_to_x264() -> None:
    """On a host without NVENC the first picture raises; after `give_up` x264 encodes, for good."""
    with ThreadPoolExecutor(1) as threads:
        encoder = _encoder(threads, NVENC)
        try:
            await encoder.encode(CODECS["H264"], _picture(), True)
        except Exception:  # noqa: BLE001 - PyAV raises what FFmpeg makes of a missing library or device
            encoder.give_up()
        else:
            pytest.skip("this host has NVENC")
        payloads, _ = await encoder.encode(CODECS["H264"], _picture(1), True)

    assert payloads
    assert encoder._codec._codec.name == "libx264"


async def test_only_a_voice_encoder_is_forgotten() -> None:
    """A picture encoder holds nothing back, and keeps what it learned about the rate."""
    with ThreadPoolExecutor(1) as threads:
        for name, frame, kept in (("VP8", _picture(), True), ("opus", _sound(), False)):
            encoder = _encoder(threads)
            await encoder.encode(CODECS[name], frame, True)
            before = encoder._codec
            encoder.forget()
            assert (encoder._codec is before) == kept


def test_a_picture_of_one_slice_makes_fragments_and_small_units_share_a_packet() -> None:
    """RFC 6184: FU-A for a large NAL unit, STAP-A for parameter sets."""
    small, large = b"\0\0\0\1\x67abc\0\0\0\1\x68de", b"\0\0\0\1\x65" + bytes(range(1, 251)) * 12
    packets = packetize_h264(small + large)

    assert packets[0][0] & 0x1F == 24
    assert {packet[0] & 0x1F for packet in packets[1:]} == {28}
    assert len(packets) == 4


@pytest.mark.parametrize("peak", [0, 10, 3000, 32000])
def test_the_audio_level_is_upstreams(peak: int) -> None:
    """The numpy level equals aiortc's own sample loop, and silence is -127."""
    pcm = np.random.default_rng(3).integers(-peak, peak + 1, (1, 960), dtype=np.int16)
    frame = AudioFrame.from_ndarray(pcm, format="s16", layout="mono")

    assert abs(audio_level_dbov(frame) - compute_audio_level_dbov(frame)) <= 1


async def test_hardware_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender is told, and x264 takes the next picture."""
    monkeypatch.setattr(frame_encoder, "ENCODE_MAX_S", 0.05)
    hang = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        encoder = _encoder(threads, h264=NVENC)
        encoder._codec = Mute(hang)
        with pytest.raises(TimeoutError):
            await encoder.encode(CODECS["H264"], _picture(), False)
        monkeypatch.setattr(frame_encoder, "ENCODE_MAX_S", 60.0)  # a busy machine's x264 takes its time
        encoder._codec = RealtimeH264Encoder(500, 900, packetize_h264, name=NVENC)
        encoder.give_up()
        payloads, _ = await encoder.encode(CODECS["H264"], _picture(1), True)
        hang.set()

    assert payloads


class Mute:
    """An encoder whose driver does not answer."""

    def __init__(self, hang: threading.Event) -> None:
        self._hang = hang

    def encode(self, frame: VideoFrame, key: bool) -> tuple[list[bytes], int]:
        """Wait for the end of the test."""
        self._hang.wait(10)
        return [], 0

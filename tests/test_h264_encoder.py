"""The H.264 encoder behind aiortc's seam, with a real decoder at the other end."""

from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Decoder, h264_depayload
from aiortc.jitterbuffer import JitterFrame

from mirage_rtc import h264_encoder
from mirage_rtc.aiortc_private.frame_encoder import packetize_h264
from mirage_rtc.h264_encoder import RealtimeH264Encoder, level_for


def _frame(n: int, size_px: int = 256) -> av.VideoFrame:
    rng = np.random.default_rng(n)
    luma = np.roll(np.tile(np.arange(size_px, dtype=np.uint8), (size_px, 1)), n * 3, axis=1)
    noise = rng.integers(0, 24, (size_px, size_px), dtype=np.uint8)
    i420 = np.vstack([luma // 2 + noise, np.full((size_px // 2, size_px), 128, np.uint8)])
    frame = av.VideoFrame.from_ndarray(i420, format="yuv420p")
    frame.pts, frame.time_base = n * 4500, Fraction(1, 90_000)
    return frame


def _bytes(encoder: RealtimeH264Encoder, frames: range) -> list[int]:
    return [sum(map(len, encoder.encode(_frame(n))[0])) for n in frames]


def test_every_frame_comes_out_at_once_and_decodes() -> None:
    """No look-ahead: each frame in gives its packets, and a decoder sees every picture."""
    encoder, decoder, shown = RealtimeH264Encoder(800, 2000, packetize_h264), H264Decoder(), 0
    for n in range(10):
        payloads, timestamp = encoder.encode(_frame(n), n == 0)
        data = b"".join(h264_depayload(payload) for payload in payloads)
        shown += len(decoder.decode(JitterFrame(data=data, timestamp=timestamp)))
        assert payloads
        assert timestamp == n * 4500
        assert max(map(len, payloads)) <= 1300

    assert shown >= 9


def test_the_bitrate_changes_without_a_key_frame() -> None:
    """After the estimate fell to a fifth frames shrink, and none of them is an IDR picture."""
    encoder = RealtimeH264Encoder(2000, 2500, packetize_h264)
    before = sum(_bytes(encoder, range(1, 41))[20:])
    encoder.target_bitrate = 400_000
    after = sum(_bytes(encoder, range(41, 81))[20:])
    nal_types = {payload[0] & 0x1F for n in range(81, 86) for payload in encoder.encode(_frame(n))[0]}

    assert after < 0.6 * before
    assert 5 not in nal_types


@pytest.mark.parametrize("fps", [15, 20, 30])
def test_the_target_is_met_at_any_frame_rate_and_up_to_the_highest(fps: int) -> None:
    """Rising from 600 to 2000 kbit/s: within 15 % of both, a second later, without a key frame."""
    encoder = RealtimeH264Encoder(600, 2500, packetize_h264)
    rates = []
    for step, target in enumerate((600_000, 2_000_000)):
        encoder.target_bitrate = target
        sizes = []
        for n in range(step * 6 * fps, (step + 1) * 6 * fps):
            frame = _frame(n)
            frame.pts = n * 90_000 // fps
            payloads, _ = encoder.encode(frame, n == 0)
            sizes.append(sum(map(len, payloads)))
            assert n == 0 or not any(payload[0] & 0x1F in (5, 7) for payload in payloads)
        rates.append(sum(sizes[2 * fps :]) * 8 / 4 / target)

    assert all(0.85 < rate < 1.15 for rate in rates), rates


def test_a_key_frame_comes_when_asked_for() -> None:
    """`force_keyframe` gives an IDR picture with its parameter sets."""
    encoder = RealtimeH264Encoder(800, 2000, packetize_h264)
    _bytes(encoder, range(5))
    payloads, _ = encoder.encode(_frame(5), True)
    data = b"".join(h264_depayload(payload) for payload in payloads)

    assert bytes([0, 0, 1, 0x65]) in data or any(
        data[i : i + 3] == b"\0\0\1" and data[i + 3] & 31 == 5 for i in range(len(data) - 3)
    )


def test_an_encoder_that_looks_ahead_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives the picture of an earlier frame, which may be the last raw one, for the frame after passthrough."""
    monkeypatch.setattr(h264_encoder, "_options", lambda *_: {"preset": "medium", "rc-lookahead": "2"})
    encoder = RealtimeH264Encoder(800, 2000, packetize_h264)
    with pytest.raises(ValueError, match="another frame"):
        _bytes(encoder, range(8))


def test_a_new_size_is_followed() -> None:
    """A picture of another size opens a new stream that starts with a key frame."""
    encoder = RealtimeH264Encoder(800, 2000, packetize_h264)
    encoder.encode(_frame(0))
    payloads, _ = encoder.encode(_frame(1, size_px=128))

    assert any(h264_depayload(payload)[4] & 0x1F in (5, 7) for payload in payloads)


def test_the_bitrate_stays_within_bounds() -> None:
    """An estimate of 0 or of 1 Gbit/s does not get through."""
    encoder = RealtimeH264Encoder(800, 2000, packetize_h264)
    encoder.target_bitrate = 0
    assert encoder.target_bitrate == 150_000
    encoder.target_bitrate = 10**9
    assert encoder.target_bitrate == 2_000_000


@pytest.mark.parametrize(("size", "level"), [((512, 512), "30"), ((1280, 720), "31"), ((1920, 1080), "40")])
def test_the_level_goes_by_size(size: tuple[int, int], level: str) -> None:
    """The lowest level of table A-1 that holds 30 fps."""
    assert level_for(*size) == level


def test_a_maximum_below_the_minimum_wins() -> None:
    """MIRAGE_VIDEO_KBPS_MAX may be 100: no estimate lifts the target above it."""
    encoder = RealtimeH264Encoder(100, 100, packetize_h264)
    for estimate in (0, 120_000, 10**9):
        encoder.target_bitrate = estimate
        assert encoder.target_bitrate == 100_000

"""The VP8 encoder behind aiortc's seam, with a real decoder at the other end."""

from fractions import Fraction

import av
import numpy as np
from aiortc.codecs.vpx import Vp8Decoder, Vp8Encoder, VpxPayloadDescriptor, vp8_depayload
from aiortc.jitterbuffer import JitterFrame

from mirage_rtc.vp8_encoder import RealtimeVp8Encoder

FPS = 20


def _frame(n: int, size_px: int = 256) -> av.VideoFrame:
    rng = np.random.default_rng(n)
    luma = np.roll(np.tile(np.arange(size_px, dtype=np.uint8), (size_px, 1)), n * 3, axis=1)
    noise = rng.integers(0, 24, (size_px, size_px), dtype=np.uint8)
    i420 = np.vstack([luma // 2 + noise, np.full((size_px // 2, size_px), 128, np.uint8)])
    frame = av.VideoFrame.from_ndarray(i420, format="yuv420p")
    frame.pts, frame.time_base = n * 90_000 // FPS, Fraction(1, 90_000)
    return frame


def _encoder(kbps_start: int = 800, kbps_max: int = 2500) -> RealtimeVp8Encoder:
    return RealtimeVp8Encoder(kbps_start, kbps_max, Vp8Encoder._packetize)


def _is_key(payloads: list[bytes]) -> bool:
    return vp8_depayload(payloads[0])[0] & 1 == 0  # RFC 6386 §9.1: the first bit is 0 in a key frame


def _kbps(encoder: RealtimeVp8Encoder, frames: range) -> float:
    total = sum(sum(map(len, encoder.encode(_frame(n))[0])) for n in frames)
    return total * 8 / 1000 / (len(frames) / FPS)


def test_every_frame_comes_out_at_once_and_decodes() -> None:
    """No look-ahead: each frame in gives its packets with one picture number, and a decoder sees every picture."""
    encoder, decoder, shown, numbers = _encoder(), Vp8Decoder(), 0, []
    for n in range(10):
        payloads, timestamp = encoder.encode(_frame(n), n == 0)
        data = b"".join(vp8_depayload(payload) for payload in payloads)
        shown += len(decoder.decode(JitterFrame(data=data, timestamp=timestamp)))
        numbers.append({VpxPayloadDescriptor.parse(payload)[0].picture_id for payload in payloads})
        assert timestamp == n * 4500
        assert max(map(len, payloads)) <= 1300
        assert _is_key(payloads) == (n == 0)

    assert shown == 10
    assert all(len(number) == 1 for number in numbers)
    firsts = [next(iter(number)) or 0 for number in numbers]
    assert {(b - a) % (1 << 15) for a, b in zip(firsts, firsts[1:], strict=False)} == {1}


def test_the_bitrate_is_followed_down_and_up_without_a_new_encoder_or_a_key_frame() -> None:
    """A third of the start and two and a half times it: within 15 % a second later, and no key frame on the way."""
    encoder = _encoder()
    rates, keys = [], 0
    for step, target in enumerate((800_000, 300_000, 2_000_000)):
        encoder.target_bitrate = target
        begin = step * 80
        if step:
            keys += sum(_is_key(encoder.encode(_frame(n))[0]) for n in range(begin, begin + 20))
        else:
            _kbps(encoder, range(20))
        rates.append(_kbps(encoder, range(begin + 20, begin + 80)) * 1000 / target)

    assert keys == 0
    assert all(0.85 < rate < 1.15 for rate in rates), rates


def test_a_key_frame_comes_when_asked_for_and_is_bounded() -> None:
    """At 400 kbit/s a key frame takes at most three frames' share and a bit."""
    encoder = _encoder(kbps_start=400)
    _kbps(encoder, range(40))
    payloads, _ = encoder.encode(_frame(40), True)

    assert _is_key(payloads)
    assert sum(map(len, payloads)) < 4 * 400_000 / 8 / FPS


def test_a_new_size_is_followed() -> None:
    """A picture of another size opens a new stream that starts with a key frame."""
    encoder = _encoder()
    encoder.encode(_frame(0))
    payloads, _ = encoder.encode(_frame(1, size_px=128))

    assert _is_key(payloads)


def test_a_pause_saves_up_no_bits_and_equal_times_do_no_harm() -> None:
    """After ten seconds without a picture the next one is no larger than its like, and two of one moment come out."""
    encoder = _encoder()
    usual = _kbps(encoder, range(20, 60)) * 1000 / 8 / FPS
    sizes = []
    for n in (60, 61, 62):
        late = _frame(n)
        late.pts = 300 * 4500 + (4500 if n == 62 else 0)
        sizes.append(sum(map(len, encoder.encode(late)[0])))

    assert all(sizes)
    assert max(sizes) < 3 * usual


def test_the_bitrate_stays_within_bounds() -> None:
    """An estimate of 0 or of 1 Gbit/s does not get through."""
    encoder = _encoder(kbps_max=2000)
    encoder.target_bitrate = 0
    assert encoder.target_bitrate == 150_000
    encoder.target_bitrate = 10**9
    assert encoder.target_bitrate == 2_000_000


def test_a_maximum_below_the_minimum_wins() -> None:
    """MIRAGE_VIDEO_KBPS_MAX may be 100: no estimate lifts the target above it."""
    encoder = _encoder(kbps_start=100, kbps_max=100)
    for estimate in (0, 120_000, 10**9):
        encoder.target_bitrate = estimate
        assert encoder.target_bitrate == 100_000

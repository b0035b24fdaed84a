"""Bar codes and chirps: they survive the codecs of a call, and nothing else is taken for them."""

from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import pytest
from aiortc.codecs import get_decoder, get_encoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av import AudioFrame, VideoFrame

from models.engines import Samples
from tests.stamped_media import (
    CHIRP_SAMPLES,
    CODE_BITS,
    RATE_HZ,
    HeardChirp,
    age_ms,
    chirp,
    find_chirps,
    luma_of,
    panning,
    read_code,
    write_code,
)

TIMES_US = [(1 << CODE_BITS) * step // 41 + 12_345 * step for step in range(40)]


def _stamped() -> list[VideoFrame]:
    frames = []
    for index, (picture, time_us) in enumerate(zip(panning(), TIMES_US, strict=False)):
        own = picture.copy()
        write_code(own, time_us)
        frame = VideoFrame.from_ndarray(own, "yuv420p")
        frame.pts, frame.time_base = index * 4500, Fraction(1, 90_000)
        frames.append(frame)
    return frames


def _through(codec: str, options: dict[str, str]) -> list[int | None]:
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = 512, 512, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.bit_rate = Fraction(1, 90_000), Fraction(20), 300_000
    encoder.options = options
    decoder: Any = av.CodecContext.create("vp8" if codec == "libvpx" else "h264", "r")
    packets = [packet for frame in [*_stamped(), None] for packet in encoder.encode(frame)]
    decoded = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    return [read_code(luma_of(frame)) for frame in decoded]


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
        ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    ],
)
def test_every_code_survives_300_kbit_s(codec: str, options: dict[str, str]) -> None:
    """Each of forty moving pictures is read back to the microsecond."""
    assert _through(codec, options) == TIMES_US


@pytest.mark.parametrize("size_px", [384, 256])
def test_a_code_survives_scaling(size_px: int) -> None:
    """A server that sends a smaller picture can be measured all the same."""
    luma = luma_of(_stamped()[7])
    smaller = np.asarray(cv2.resize(luma, (size_px, size_px), interpolation=cv2.INTER_AREA), np.uint8)
    assert read_code(smaller) == TIMES_US[7]


def test_what_bears_no_code_is_not_read() -> None:
    """Neither plain pictures, nor half a code, nor a flat grey."""
    half = luma_of(_stamped()[3]).copy()
    half[20:] = 128
    noise = np.random.default_rng(5).integers(0, 256, (200, 512, 512), np.uint8)
    plain = [picture[:512] for picture in panning()]
    assert [read_code(luma) for luma in [half, *plain]] == [None] * (1 + len(plain))
    assert sum(read_code(luma) is not None for luma in noise) == 0


def test_a_wrong_bit_is_found() -> None:
    """The checksum refuses a code of which one block changed."""
    luma = luma_of(_stamped()[9]).copy()
    luma[16:32, 64:96] = 255 - luma[16:32, 64:96]
    assert read_code(luma) is None


def test_the_age_of_a_code_outlasts_its_turnover() -> None:
    """Forty bits turn over; the age does not."""
    assert age_ms((1 << CODE_BITS) - 5000, (3 << CODE_BITS) + 20_000) == 25.0


def _recording(starts: list[int], seconds: float) -> Samples:
    sound = np.random.default_rng(1).normal(0, 0.002, int(seconds * RATE_HZ)).astype(np.float32)
    for index, start in enumerate(starts):
        sound[start : start + CHIRP_SAMPLES] += chirp(index % 4)
    return sound


def test_chirps_are_found_to_the_sample() -> None:
    """Kind and place of each, and no other."""
    starts = [1003, 13_007, 25_111, 37_000, 49_999]
    expected = [HeardChirp(kind=index % 4, start=start) for index, start in enumerate(starts)]
    assert find_chirps(_recording(starts, 1.2)) == expected
    assert find_chirps(_recording([], 1.2)) == []
    assert find_chirps(np.zeros(10, np.float32)) == []


def test_a_known_delay_is_found_within_a_millisecond_after_opus() -> None:
    """Through the codec of a call, twice as a server does it, and 5 ms of our own."""
    starts = [960 * step for step in (5, 17, 29, 41)]
    delay = 240
    clean = _recording([start + delay for start in starts], 1.2)
    twice = _opus(_opus(clean))
    heard = find_chirps(twice)
    assert [found.kind for found in heard] == [0, 1, 2, 3]
    codec_delay = 2 * 312  # libopus looks 6.5 ms ahead at 48 kHz
    shifts = np.array([found.start - start for found, start in zip(heard, starts, strict=True)])
    assert np.abs(shifts - delay - codec_delay).max() <= RATE_HZ // 1000


def _opus(sound: Samples) -> Samples:
    opus = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=RATE_HZ, channels=2, payloadType=96)
    encoder, decoder = get_encoder(opus), get_decoder(opus)
    out: list[Any] = []
    for index in range(len(sound) // 960):
        pcm = (np.clip(sound[index * 960 : (index + 1) * 960], -1, 1) * 32767).astype(np.int16)
        frame = AudioFrame.from_ndarray(np.repeat(pcm, 2).reshape(1, -1), "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, index * 960, Fraction(1, RATE_HZ)
        payloads, timestamp = encoder.encode(frame)
        for payload in payloads:
            out += decoder.decode(JitterFrame(data=payload, timestamp=timestamp))
    pcm_out = [np.asarray(frame.to_ndarray()).reshape(-1, 2)[:, 0] for frame in out]
    return (np.concatenate(pcm_out) / 32768).astype(np.float32)

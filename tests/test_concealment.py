"""What stands in for lost sound, decoded by the real decoder."""

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame

from mirage_rtc.aiortc_private.concealment import (
    LOST_MAX_SAMPLES,
    PAUSE_MAX_SAMPLES,
    Concealment,
    frame_samples,
    packet_samples,
)
from models.engines import Samples

RATE_HZ = 48_000
TONE_HZ = 220


@pytest.mark.parametrize(
    ("config", "samples"),
    [(0, 480), (1, 960), (6, 1920), (11, 2880), (12, 480), (15, 960), (16, 120), (21, 240), (30, 480), (31, 960)],
)
def test_the_length_of_a_frame(config: int, samples: int) -> None:
    """RFC 6716 table 2, whatever the channels and the code."""
    assert [frame_samples(config << 3 | rest) for rest in range(8)] == [samples] * 8


@pytest.mark.parametrize(
    ("data", "samples"),
    [
        (b"\xf8", 960),
        (b"\xf9\0", 1920),
        (b"\xfa\0", 1920),
        (b"\xfb\x03", 2880),
        (b"\xfb\x06", 5760),
        (b"\xfb\x07", 0),
        (b"\xfb\x00", 0),
        (b"\xfb", 0),
        (b"", 0),
    ],
)
def test_the_length_of_a_packet(data: bytes, samples: int) -> None:
    """RFC 6716 §3.2; more than 120 ms is malformed."""
    assert packet_samples(data) == samples


def _packets(packet_ms: int, *, sounding_s: float = 2.0) -> list[bytes]:
    """Two seconds in stereo by libopus: a 220 Hz tone, then silence."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.bit_rate, encoder.format, encoder.layout = 64_000, "s16", "stereo"
    encoder.sample_rate, encoder.time_base = RATE_HZ, Fraction(1, RATE_HZ)
    encoder.options = {"application": "voip", "frame_duration": str(packet_ms)}
    count = packet_ms * RATE_HZ // 1000
    packets: list[bytes] = []
    for at in range(0, 2 * RATE_HZ, count):
        sound = _tone(at, count) * np.int16(at < sounding_s * RATE_HZ)
        frame = av.AudioFrame.from_ndarray(sound, "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, at, Fraction(1, RATE_HZ)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


def _tone(at: int, count: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    wave = 8000 * np.sin(2 * np.pi * TONE_HZ * np.arange(at, at + count) / RATE_HZ)
    return np.repeat(wave.astype(np.int16), 2).reshape(1, -1)


def _hear(packets: list[bytes], lost: set[int], *, paused: bool = False) -> list[tuple[int, Samples]]:
    """(pts, left channel) of each decoded frame, when some packets never come."""
    decoder, concealment = OpusDecoder(), Concealment()
    samples = packet_samples(packets[0])
    heard: list[tuple[int, Samples]] = []
    for n, data in enumerate(packets):
        if n in lost:
            continue
        frame = JitterFrame(data=data, timestamp=n * samples)
        for part in [*concealment.before(frame, lost=n - 1 in lost and not paused), frame]:
            for decoded in decoder.decode(part):
                left = decoded.to_ndarray().reshape(-1, 2)[:, 0] / 32768.0  # type: ignore[attr-defined]
                heard.append((int(decoded.pts or 0), left.astype(np.float32)))
    return heard


def _holes(heard: list[tuple[int, Samples]]) -> int:
    """Samples missing (or doubled) between one decoded frame and the next, all together."""
    pairs = zip(heard, heard[1:], strict=False)
    return sum(abs(after - before - len(samples)) for (before, samples), (after, _) in pairs)


@pytest.mark.parametrize("packet_ms", [10, 20, 40, 60])
@pytest.mark.parametrize("lost", [{20}, {20, 21, 22}])
def test_the_timeline_of_lost_packets_has_no_hole(packet_ms: int, lost: set[int]) -> None:
    """Every sample between the first and the last is there, at its place; without concealment it would not be."""
    packets = _packets(packet_ms)
    heard = _hear(packets, lost)

    assert _holes(heard) == 0
    assert sum(len(samples) for _, samples in heard) == len(packets) * packet_ms * 48


def test_two_frames_in_a_packet_are_concealed_as_two() -> None:
    """A 40 ms packet of 20 ms frames (code 1) is stood for by two packets of one frame."""
    concealment = Concealment()
    for n in (0, 1, 3):
        fill = concealment.before(JitterFrame(data=b"\xf9\0\0", timestamp=n * 1920), lost=n == 3)

    assert [(part.timestamp, part.data) for part in fill] == [(3840, b"\xf8"), (4800, b"\xf8")]


def test_a_lost_packet_of_a_tone_is_hardly_heard() -> None:
    """The first 20 ms made up are as loud as the tone (within 3 dB) and go on in phase with it."""
    heard = _hear(_packets(20), {30})
    pts, made_up = heard[30]
    assert pts == 30 * 960
    before, after = heard[29][1], heard[28][1]
    loudness = np.sqrt(np.mean(made_up**2)) / np.sqrt(np.mean(before**2))

    assert 0.7 < loudness < 1.4
    assert abs(made_up[0] - before[-1]) < 2 * np.abs(np.diff(after)).max()


def test_a_burst_fades() -> None:
    """No more than a quarter of the loudness is left after 160 ms; it never grows."""
    heard = _hear(_packets(20), set(range(30, 40)))
    loud = [float(np.sqrt(np.mean(samples**2))) for _, samples in heard[29:40]]

    assert loud[9] < 0.25 * loud[0]
    assert max(loud[1:]) < 1.4 * loud[0]


@pytest.mark.parametrize(
    ("lost", "gap", "made_up"),
    [
        (True, 960, 960),
        (True, 60 * RATE_HZ, LOST_MAX_SAMPLES),
        (False, PAUSE_MAX_SAMPLES, PAUSE_MAX_SAMPLES),
        (False, PAUSE_MAX_SAMPLES + 960, 0),
        (True, 100, 0),
    ],
)
def test_what_is_made_up_is_bounded(lost: bool, gap: int, made_up: int) -> None:
    """200 ms of loss; a pause of 500 ms, and nothing of a longer one."""
    concealment = Concealment()
    concealment.before(JitterFrame(data=b"\xf8", timestamp=0), lost=False)
    fill = concealment.before(JitterFrame(data=b"\xf8", timestamp=960 + gap), lost=lost)

    assert len(fill) * 960 == made_up
    assert (concealment.lost_samples, concealment.pause_samples) == ((made_up, 0) if lost else (0, made_up))


def test_a_pause_of_a_sender_is_contiguous_and_quiet() -> None:
    """A tone, then silence of which one packet in 400 ms is sent (DTX): no hole, and nothing is heard of the tone."""
    packets = _packets(20, sounding_s=1.0)
    unsent = {n for n in range(55, 100) if n % 20 != 15}
    heard = _hear(packets, unsent - {99}, paused=True)

    assert _holes(heard) == 0
    assert max(float(np.abs(samples).max()) for pts, samples in heard if pts > 1.2 * RATE_HZ) < 0.01


def test_short_frames_are_concealed_in_long_ones() -> None:
    """A gap of 2.5 ms frames costs the decoder a call for each 20 ms, and the rest in its own step."""
    concealment = Concealment()
    concealment.before(JitterFrame(data=b"\xe0", timestamp=0), lost=False)
    parts = concealment.before(JitterFrame(data=b"\xe0", timestamp=120 + 24_000 - 720), lost=False)

    assert [frame_samples(part.data[0]) for part in parts] == [960] * 24 + [120] * 2
    assert [part.timestamp for part in parts] == [120 + 960 * n for n in range(24)] + [23_160, 23_280]


def test_a_step_back_and_a_malformed_packet_fill_nothing() -> None:
    """A sender that began anew is followed; what the decoder will refuse leaves its gap to the next packet."""
    concealment = Concealment()
    concealment.before(JitterFrame(data=b"\xf8", timestamp=96_000), lost=False)

    assert concealment.before(JitterFrame(data=b"\xf8", timestamp=0), lost=True) == []
    assert concealment.before(JitterFrame(data=b"\xfb", timestamp=960), lost=False) == []
    assert [part.timestamp for part in concealment.before(JitterFrame(data=b"\xf8", timestamp=1920), lost=False)] == [
        960
    ]

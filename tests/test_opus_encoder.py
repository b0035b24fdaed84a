"""The voice encoder, with real Opus decoders at the other end."""

from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame
from av import AudioFrame

from mirage_rtc.opus_encoder import CALM_FRAMES, OpusWishes, VoiceEncoder

RATE_HZ = 48_000
FEC = OpusWishes(redundancy=True)


def _tone(seconds: float, hz: float = 200.0) -> "np.ndarray[Any, np.dtype[np.int16]]":
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    voice = sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 20)) * (0.6 + 0.4 * np.sin(2 * np.pi * 2.3 * t))
    return (voice * 6000).astype(np.int16)


def _frames(pcm: "np.ndarray[Any, np.dtype[np.int16]]") -> list[AudioFrame]:
    frames = []
    for n in range(len(pcm) // 960):
        frame = AudioFrame.from_ndarray(pcm[None, n * 960 : (n + 1) * 960], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, n * 960, Fraction(1, RATE_HZ)
        frames.append(frame)
    return frames


def test_what_a_peer_wishes_is_read_from_its_fmtp() -> None:
    """Chromium's line, a line with a limit, and nonsense."""
    assert OpusWishes.of({"minptime": 10, "useinbandfec": 1}) == OpusWishes(redundancy=True, max_bps=510_000)
    assert OpusWishes.of({"maxaveragebitrate": "20000"}) == OpusWishes(redundancy=False, max_bps=20_000)
    assert OpusWishes.of({"useinbandfec": "yes", "maxaveragebitrate": None}) == OpusWishes.of({})


def test_each_frame_is_one_packet_with_its_own_time() -> None:
    """50 packets a second in mono, their timestamps contiguous, at 64 kbit/s and no more."""
    encoder = VoiceEncoder(OpusWishes())
    packets = [encoder.encode(frame) for frame in _frames(_tone(2.0))]

    assert [timestamp for _, timestamp in packets] == list(range(0, 96_000, 960))
    assert {len(payloads) for payloads, _ in packets} == {1}
    assert {payloads[0][0] >> 2 & 1 for payloads, _ in packets} == {0}  # RFC 6716 §3.1: the s bit, 0 is mono
    assert 20_000 < sum(len(payloads[0]) for payloads, _ in packets) * 4 < 66_000


def test_the_voice_comes_back_at_its_level() -> None:
    """A decoder for two channels, as browsers and aiortc have, plays it on both, as loud as it was."""
    encoder, decoder, heard = VoiceEncoder(OpusWishes()), OpusDecoder(), []
    pcm = _tone(1.0)
    for frame in _frames(pcm):
        payloads, timestamp = encoder.encode(frame)
        for out in cast("Any", decoder).decode(JitterFrame(data=payloads[0], timestamp=timestamp)):
            heard.append(out.to_ndarray().reshape(-1, 2))
    sound = np.concatenate(heard).astype(np.float64)
    level_db = 20 * np.log10(np.std(sound[9600:, 0]) / np.std(pcm[9600:].astype(np.float64)))

    assert np.array_equal(sound[:, 0], sound[:, 1])
    assert abs(level_db) < 1.0


def _redundant(encoder: VoiceEncoder, frames: list[AudioFrame]) -> int:
    """Packets whose SILK part carries the frame before once more (RFC 6716 §4.2.4: the LBRR flag of a mono packet)."""
    count = 0
    for frame in frames:
        packet = encoder.encode(frame)[0][0]
        silk = packet[0] >> 3 < 16  # configurations 0 to 15 have a SILK part
        count += silk and bool(packet[1] & 0x40)
    return count


def test_redundancy_comes_with_reported_loss_and_goes_after_calm() -> None:
    """None at first, at once when 12 % are lost, and no more 10 s after the loss ended."""
    encoder, frames = VoiceEncoder(FEC), _frames(_tone(2.0))
    assert _redundant(encoder, frames[:50]) == 0
    encoder.note_loss(0.13)
    assert _redundant(encoder, frames) > 50
    encoder.note_loss(0.0)
    for _ in range(CALM_FRAMES // 100 + 1):
        _redundant(encoder, frames)

    assert encoder.loss == 0.0
    assert _redundant(encoder, frames[:50]) == 0


@pytest.mark.parametrize(("reported", "provided"), [(0.0, 0.0), (0.019, 0.0), (0.03, 0.02), (0.1, 0.06), (0.9, 0.2)])
def test_loss_goes_by_steps(reported: float, provided: float) -> None:
    """So that a report that wavers opens no encoder."""
    encoder = VoiceEncoder(FEC)
    encoder.note_loss(reported)
    encoder.encode(_frames(_tone(0.02))[0])

    assert encoder.loss == provided


def test_a_peer_that_did_not_ask_gets_no_redundancy() -> None:
    """Without useinbandfec=1 reported loss changes nothing."""
    encoder = VoiceEncoder(OpusWishes())
    encoder.note_loss(0.5)
    encoder.encode(_frames(_tone(0.02))[0])

    assert encoder.loss == 0.0

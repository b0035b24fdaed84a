"""Sound is decoded where it arrives: in order, with what was lost concealed, and no more of it than time passes."""

import asyncio
import inspect
import threading
from fractions import Fraction
from typing import Any, cast

import aiortc.rtcrtpreceiver
import numpy as np
import pytest
from aiortc.codecs import get_encoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av import AudioFrame

from mirage_rtc.aiortc_private.sound_queue import AHEAD_MAX_S, REFUSED_COSTS_S, SoundQueue

OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, channels=2, payloadType=96)


class Ear:
    """A queue on a clock that stands still, and what it let out."""

    def __init__(self) -> None:
        self.now_s = 10.0
        self.heard: list[AudioFrame] = []
        self.queue = SoundQueue(clock=lambda: self.now_s, leave=self.heard.append)


def _packets(count: int) -> list[JitterFrame]:
    encoder, packets = get_encoder(OPUS), []
    for index in range(count):
        tone = (8000 * np.sin(np.arange(960) * 0.1 + 96 * index)).astype(np.int16)
        frame = AudioFrame.from_ndarray(np.repeat(tone, 2).reshape(1, -1), "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, index * 960, Fraction(1, 48_000)
        payloads, timestamp = encoder.encode(frame)
        packets += [JitterFrame(data=payload, timestamp=timestamp) for payload in payloads]
    return packets


def test_a_packet_is_decoded_before_put_returns() -> None:
    """In order, by one decoder."""
    ear = Ear()
    for packet in _packets(5):
        ear.queue.put((OPUS, packet))
    assert [(frame.pts, frame.samples) for frame in ear.heard] == [(index * 960, 960) for index in range(5)]
    assert np.abs(ear.heard[-1].to_ndarray()).max() > 4000


def test_what_was_lost_is_concealed_before_what_comes() -> None:
    """The timeline has no hole."""
    ear = Ear()
    packets = _packets(6)
    setattr(packets[4], "lost", 2)  # noqa: B010 - what `media_buffer` says of a hole
    for index in (0, 1, 4, 5):
        ear.queue.put((OPUS, packets[index]))
    assert [frame.pts for frame in ear.heard] == [index * 960 for index in range(6)]
    assert ear.queue.concealment.lost_samples == 1920


def test_only_opus_is_concealed() -> None:
    """Nothing is made up where an empty packet means nothing."""
    ear = Ear()
    pcmu = RTCRtpCodecParameters(mimeType="audio/PCMU", clockRate=8_000, channels=1, payloadType=0)
    late = JitterFrame(data=bytes(160), timestamp=480)
    setattr(late, "lost", 2)  # noqa: B010 - what `media_buffer` says of a hole
    ear.queue.put((pcmu, JitterFrame(data=bytes(160), timestamp=0)))
    ear.queue.put((pcmu, late))
    assert [frame.pts for frame in ear.heard] == [0, 480]
    assert ear.queue.concealment.lost_samples == 0


def test_an_empty_packet_never_reaches_the_decoder() -> None:
    """To FFmpeg it would be the end of the stream."""
    ear = Ear()
    first, second = _packets(2)
    for packet in (first, JitterFrame(data=b"", timestamp=960), second):
        ear.queue.put((OPUS, packet))
    assert [frame.pts for frame in ear.heard] == [0, 960]
    assert ear.queue.dropped == 1


def test_a_damaged_packet_costs_itself_alone() -> None:
    """The next one is decoded."""
    ear = Ear()
    good = _packets(2)
    ear.queue.put((OPUS, good[0]))
    ear.queue.put((OPUS, JitterFrame(data=b"\xff\xff\xff", timestamp=960)))
    ear.queue.put((OPUS, JitterFrame(data=good[1].data, timestamp=1920)))
    assert ear.heard[-1].pts == 1920


def test_a_flood_is_not_decoded() -> None:
    """Two seconds ahead of time at most; then as fast as time passes."""
    ear = Ear()
    packets = _packets(200)
    for packet in packets:
        ear.queue.put((OPUS, packet))
    heard_s = len(ear.heard) * 0.02
    assert abs(heard_s - AHEAD_MAX_S) < 0.05
    assert ear.queue.dropped == 200 - len(ear.heard)
    ear.now_s += 0.1
    before = len(ear.heard)
    for index in range(100):
        ear.queue.put((OPUS, JitterFrame(data=packets[0].data, timestamp=(300 + index) * 960)))
    assert 4 <= len(ear.heard) - before <= 8


def test_what_cannot_be_decoded_is_told_once_a_second_and_costs_as_much(caplog: pytest.LogCaptureFixture) -> None:
    """A peer fills neither the log nor the event loop."""
    ear = Ear()
    for index in range(2000):
        ear.queue.put((OPUS, JitterFrame(data=b"\xff\xff\xff", timestamp=index * 960)))
    assert len(caplog.records) == 1
    assert ear.queue.dropped == 2000 - AHEAD_MAX_S / REFUSED_COSTS_S


def test_a_pause_costs_nothing_where_there_is_no_credit() -> None:
    """Nothing is even asked of the concealment."""
    ear = Ear()
    packet = _packets(1)[0]
    for index in range(200):
        ear.queue.put((OPUS, JitterFrame(data=packet.data, timestamp=index * 960)))
    before = ear.queue.concealment.pause_samples
    ear.queue.put((OPUS, JitterFrame(data=packet.data, timestamp=300 * 960)))
    assert ear.queue.concealment.pause_samples == before


def test_upstream_s_thread_sleeps_until_the_end_and_then_ends_the_track() -> None:
    """Its worker gets nothing but None."""
    ear = Ear()
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(cast("Any", ear.queue).get()))
    thread.start()
    for packet in _packets(3):
        ear.queue.put((OPUS, packet))
    assert thread.is_alive()
    ear.queue.put(None)
    thread.join(60)
    assert got == [None]
    assert len(ear.heard) == 3


def test_upstream_still_brings_a_frame_back_through_the_track_s_queue() -> None:
    """It hands `_track._queue`, an asyncio.Queue, to its worker; so `put_nowait` is what a frame needs."""
    source = inspect.getsource(aiortc.rtcrtpreceiver)
    assert "self._track._queue," in source
    assert "asyncio.run_coroutine_threadsafe(output_q.put(frame), loop)" in source
    assert isinstance(aiortc.rtcrtpreceiver.RemoteStreamTrack("audio")._queue, asyncio.Queue)

"""The bounded queue before a decoder."""

import inspect
import threading
from fractions import Fraction
from typing import Any

import aiortc.rtcrtpreceiver
import av
import numpy as np
import pytest
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

from mirage_rtc.aiortc_private.decode_queue import PICTURES_MAX, DecodeQueue, is_key_frame, starts_frame
from tests.call_parts import Hands

KEY, DELTA = b"\x00\x00\x01\x65", b"\x00\x00\x01\x41"


class _Codec:
    def __init__(self, name: str) -> None:
        self.name = name


H264 = _Codec("H264")


def test_upstream_still_reads_with_get() -> None:
    """The decoder's thread blocks in `get`."""
    assert "input_q.get()" in inspect.getsource(aiortc.rtcrtpreceiver.decoder_worker)


def _queue() -> tuple[DecodeQueue, Hands, list[float]]:
    """A queue, its clock, and when it said that it was behind."""
    clock = Hands()
    behind: list[float] = []
    return DecodeQueue(clock=clock, on_behind=lambda: behind.append(clock.now_s)), clock, behind


def test_a_decoder_that_is_behind_skips_to_the_next_key_frame() -> None:
    """When the oldest waited over 100 ms all go, and a key frame is asked for with every picture until it comes."""
    queue, clock, behind = _queue()
    for data in (KEY, DELTA, DELTA, DELTA, DELTA, KEY, DELTA):
        queue.put((H264, JitterFrame(data, 0)))
        clock.now_s += 0.04

    assert [round(at_s - clock.now_s, 2) for at_s in behind] == [-0.16, -0.12]
    assert [queue.get()[1].data for _ in range(2)] == [KEY, DELTA]
    assert queue.dropped == 5


def test_what_a_filled_hole_sets_free_at_once_is_no_backlog() -> None:
    """Ten pictures that waited for one packet are all decoded: each builds on the one before."""
    queue, _, behind = _queue()
    for data in (KEY, *([DELTA] * 9)):
        queue.put((H264, JitterFrame(data, 0)))

    assert [queue.get()[1].data for _ in range(10)] == [KEY, *([DELTA] * 9)]
    assert not behind


def test_pictures_are_bounded_by_number_too() -> None:
    """However fast they come."""
    queue, _, behind = _queue()
    for data in (KEY, *([DELTA] * 2 * PICTURES_MAX)):
        queue.put((H264, JitterFrame(data, 0)))

    assert behind
    assert queue.dropped > PICTURES_MAX


def test_the_end_overtakes_a_backlog() -> None:
    """Closing does not wait for what is queued, and nothing is taken after it."""
    queue, _, _ = _queue()
    for n in range(40):
        queue.put((H264, JitterFrame(KEY, n * 3000)))
    queue.put(None)
    queue.put((H264, JitterFrame(KEY, 0)))

    assert queue.get() is None
    assert queue.get() is None


def test_get_waits_for_what_is_put() -> None:
    """The decoder's thread sleeps until then."""
    queue, _, _ = _queue()
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.extend([queue.get(), queue.get()]))
    thread.start()
    queue.put((H264, JitterFrame(KEY, 7)))
    queue.put(None)
    thread.join(60)

    assert got[-1] is None


def test_an_empty_frame_never_reaches_a_decoder() -> None:
    """To FFmpeg it would be the end of the stream."""
    queue, _, _ = _queue()
    queue.put((H264, JitterFrame(b"", 0)))
    queue.put((H264, JitterFrame(b"x", 0)))

    assert queue.get()[1].data == b"x"


@pytest.mark.parametrize(
    ("codec", "data", "key"),
    [
        ("VP8", b"\x10", True),
        ("VP8", b"\x11", False),
        ("H264", b"\0\0\0\1\x67", True),
        ("H264", DELTA, False),
        ("H264", b"\0\0\1\x09\xf0\0\0\1\x06\x05" + KEY, True),
        ("H264", b"\0\0\1\x09\xf0" + DELTA, False),
        ("H264", b"", False),
    ],
)
def test_key_frames_are_told_by_their_bytes(codec: str, data: bytes, *, key: bool) -> None:
    """VP8's inverse key bit; an IDR slice or a parameter set anywhere in H.264, also behind a delimiter."""
    assert is_key_frame(codec, data) is key


def test_key_frames_of_a_real_encoder_are_told() -> None:
    """Of x264's first three pictures only the first is one."""
    codec: Any = av.CodecContext.create("libx264", "w")
    codec.width = codec.height = 64
    codec.pix_fmt, codec.time_base = "yuv420p", Fraction(1, 30)
    codec.options = {"tune": "zerolatency"}
    keys = []
    for n in range(3):
        frame = av.VideoFrame.from_ndarray(np.full((96, 64), n, np.uint8), format="yuv420p")
        frame.pts = n
        keys.append(is_key_frame("H264", b"".join(bytes(packet) for packet in codec.encode(frame))))

    assert keys == [True, False, False]


@pytest.mark.parametrize(
    ("codec", "payload", "starts"),
    [
        ("H264", b"\x65\x88", True),
        ("H264", b"\x7c\x85\x88", True),
        ("H264", b"\x7c\x05", False),
        ("H264", b"\x65\x28", False),
        ("H264", b"\x7c\x85\x28", False),
        ("H264", b"\x67\x42", True),
        ("H264", b"\x78\x00", True),
        ("VP8", b"\x10\x00", True),
        ("VP8", b"\x00\x00", False),
        ("VP8", b"", False),
    ],
)
def test_where_a_picture_begins(codec: str, payload: bytes, *, starts: bool) -> None:
    """A fragment's start bit and a slice's first macroblock, VP8's S bit."""
    assert starts_frame(codec, RtpPacket(payload=payload)) is starts


class _Watch:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []

    def stage(self, stage: str, took_ms: float) -> None:
        """As `PictureWatch`."""
        self.told.append((stage, round(took_ms, 3)))

    def dropped(self, reason: str, count: int = 1) -> None:
        """As `PictureWatch`."""
        self.told.append((reason, count))


def test_the_decoder_s_time_and_what_is_dropped_before_it_are_told() -> None:
    """From a task to the next question, without the wait for one; what a call's end leaves behind is no drop."""
    clock, watch = Hands(), _Watch()
    queue = DecodeQueue(clock=clock, on_behind=lambda: None, watch=watch)
    for _ in range(2):
        queue.put((H264, JitterFrame(KEY, 0)))
        queue.get()
        clock.now_s += 0.007
    queue.put((H264, JitterFrame(KEY, 0)))
    clock.now_s += 0.5
    queue.put((H264, JitterFrame(DELTA, 0)))
    queue.put((H264, JitterFrame(KEY, 0)))
    queue.put(None)
    assert watch.told == [("decode", 7.0), ("decoder_behind", 1), ("decoder_behind", 1)]

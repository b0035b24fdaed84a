"""The bounded queue before a decoder."""

import inspect
from fractions import Fraction
from typing import Any

import aiortc.rtcrtpreceiver
import av
import numpy as np
import pytest
from aiortc.rtp import RtpPacket

from mirage_rtc.aiortc_private.decode_queue import DecodeQueue, is_key_frame, starts_frame

KEY, DELTA = b"\x00\x00\x01\x65", b"\x00\x00\x01\x41"


class _Codec:
    def __init__(self, name: str) -> None:
        self.name = name


def _encoded(data: bytes) -> object:
    return type("Encoded", (), {"data": data})()


def test_upstream_still_reads_with_get() -> None:
    """The decoder's thread blocks in `get`."""
    assert "input_q.get()" in inspect.getsource(aiortc.rtcrtpreceiver.decoder_worker)


def test_a_decoder_that_is_behind_skips_to_the_next_key_frame() -> None:
    """Beyond three waiting pictures all go, and a key frame is asked for with every picture until it comes."""
    behind: list[int] = []
    queue = DecodeQueue(is_video=True, on_behind=lambda: behind.append(1))
    for data in (KEY, DELTA, DELTA, DELTA, DELTA, KEY, DELTA):
        queue.put((_Codec("H264"), _encoded(data)))

    assert behind == [1, 1]
    assert [queue.get()[1].data for _ in range(2)] == [KEY, DELTA]
    assert queue.dropped == 5


def test_the_end_overtakes_a_backlog() -> None:
    """Closing does not wait for what is queued."""
    queue = DecodeQueue(is_video=False, on_behind=lambda: None)
    for _ in range(150):
        queue.put((_Codec("opus"), _encoded(b"x")))
    queue.put(None)

    assert queue.get() is None


def test_an_empty_frame_never_reaches_a_decoder() -> None:
    """To FFmpeg it would be the end of the stream."""
    queue = DecodeQueue(is_video=False, on_behind=lambda: None)
    queue.put((_Codec("opus"), _encoded(b"")))
    queue.put((_Codec("opus"), _encoded(b"x")))

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
        ("H264", b"\x7c\x85", True),
        ("H264", b"\x7c\x05", False),
        ("VP8", b"\x10\x00", True),
        ("VP8", b"\x00\x00", False),
        ("VP8", b"", False),
    ],
)
def test_where_a_picture_begins(codec: str, payload: bytes, *, starts: bool) -> None:
    """A fragment's start bit, VP8's S bit."""
    assert starts_frame(codec, RtpPacket(payload=payload)) is starts

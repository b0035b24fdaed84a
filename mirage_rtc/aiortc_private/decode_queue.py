"""The queue before a decoder thread, bounded: frames are dropped before they are decoded. Filled by `receiver`."""

import contextlib
import queue
from collections.abc import Callable
from typing import Any

from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

DECODE_BACKLOG = 3
"""Encoded pictures waiting for the decoder; more means it is behind, and all go until the next key frame."""
_H264_KEY_NAL_TYPES = frozenset((5, 7))
_H264_FU_A = 28
_START_CODE = b"\x00\x00\x01"


def is_key_frame(codec_name: str, data: bytes) -> bool:
    """Whether a picture can be decoded alone: an IDR slice or SPS in it (RFC 6184), VP8's bit (RFC 6386 §9.1)."""
    if codec_name == "VP8":
        return bool(data) and not data[0] & 1
    start = data.find(_START_CODE)
    while 0 <= start < len(data) - 3:
        if data[start + 3] & 0x1F in _H264_KEY_NAL_TYPES:
            return True
        start = data.find(_START_CODE, start + 3)
    return False


def starts_frame(codec_name: str, packet: RtpPacket) -> bool:
    """Whether a picture may begin with this packet: VP8's S bit (RFC 7741 §4.2), not inside an FU-A (RFC 6184 §5.8)."""
    payload = packet.payload
    if not payload:
        return False
    if codec_name == "VP8":
        return payload[0] & 0x17 == 0x10
    return payload[0] & 0x1F != _H264_FU_A or (len(payload) > 1 and bool(payload[1] & 0x80))


class DecodeQueue:
    """When the decoder is behind, pictures go until the next key frame; `on_behind` asks for one until it comes."""

    def __init__(self, *, is_video: bool, on_behind: Callable[[], None]) -> None:
        self.dropped = 0
        self.offered = 0
        self.codec: Any = None
        self._is_video = is_video
        self._on_behind = on_behind
        self._queue: queue.Queue[Any] = queue.Queue()
        self._await_key = False

    def put(self, task: Any) -> None:
        """Queue one (codec, frame), or None to end the thread: that one overtakes everything."""
        if task is None:
            self._clear()
            return self._queue.put(None)
        self.codec = task[0]
        self.offered += 1
        # To FFmpeg an empty packet is the end of the stream: no decoder decodes anything after one.
        if not task[1].data or (self._is_video and not self._wanted(*task)):
            self.dropped += 1
            return None
        return self._queue.put(task)

    def get(self) -> Any:
        """The next task; blocks the decoder's thread."""
        return self._queue.get()

    def _wanted(self, codec: Any, frame: JitterFrame) -> bool:
        if self._queue.qsize() >= DECODE_BACKLOG:
            self._clear()
            self._await_key = True
        if self._await_key and not is_key_frame(codec.name, frame.data):
            self._on_behind()
            return False
        self._await_key = False
        return True

    def _clear(self) -> None:
        with contextlib.suppress(queue.Empty):  # the decoder's thread takes from it too
            while True:
                self._queue.get_nowait()
                self.dropped += 1

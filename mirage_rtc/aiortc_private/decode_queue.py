"""The queue of pictures before a decoder thread, bounded: they are dropped before decoding. Filled by `receiver`.

Stands in for the `queue.Queue` between `aiortc.rtcrtpreceiver.RTCRtpReceiver` and its `decoder_worker` (aiortc 1.16.0).
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

from mirage_rtc.picture_metrics import PictureWatch

BEHIND_S = 0.1
"""An encoded picture that waited this long shows that the decoder is behind: all go until the next key frame."""
PICTURES_MAX = 64
"""More than a filled hole ever sets free at once."""
_H264_KEY_NAL_TYPES = frozenset((5, 7))
_H264_SLICE_NAL_TYPES = frozenset((1, 5))
_H264_FU_A = 28
_START_CODE = b"\x00\x00\x01"
_FIRST_MACROBLOCK = 0x80


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
    """Whether a picture may begin with this packet.

    VP8: the S bit of partition 0 (RFC 7741 §4.2). H.264: not inside an FU-A (RFC 6184 §5.8), and a slice only if it
    holds the first macroblock (`first_mb_in_slice` is 0, one bit; ITU-T H.264 §7.3.3).
    """
    payload = packet.payload
    if codec_name == "VP8":
        return bool(payload) and payload[0] & 0x17 == 0x10
    if len(payload) < 2:
        return False
    nal_type, slice_header = payload[0] & 0x1F, payload[1:]
    if nal_type == _H264_FU_A:
        if not payload[1] & 0x80:
            return False
        nal_type, slice_header = payload[1] & 0x1F, payload[2:]
    return nal_type not in _H264_SLICE_NAL_TYPES or bool(slice_header and slice_header[0] & _FIRST_MACROBLOCK)


class DecodeQueue:
    """When the decoder is behind, pictures go until the next key frame; `on_behind` asks for one until it comes.

    `clock` is in monotonic seconds. `watch` is told what is dropped, and how long the decoder takes: from one task to
    its asking for the next.
    """

    def __init__(
        self, *, clock: Callable[[], float], on_behind: Callable[[], None], watch: PictureWatch | None = None
    ) -> None:
        self.dropped = 0
        self.offered = 0
        self.codec: Any = None
        self._clock = clock
        self._on_behind = on_behind
        self._watch = watch
        self._given_s: float | None = None
        self._tasks: deque[tuple[float, Any]] = deque()
        self._filled = threading.Condition()
        self._ended = False
        self._await_key = False

    def put(self, task: Any) -> None:
        """Queue one (codec, frame), or None to end the thread: that one overtakes everything."""
        with self._filled:
            if task is None:
                self._ended = True
                self._clear()
            else:
                self._take(*task)
            self._filled.notify()

    def get(self) -> Any:
        """The next task, None at the end; blocks the decoder's thread."""
        if self._watch is not None and self._given_s is not None:
            self._watch.stage("decode", (self._clock() - self._given_s) * 1000)
        with self._filled:
            self._filled.wait_for(lambda: self._ended or self._tasks)
            self._given_s = self._clock()
            return self._tasks.popleft()[1] if self._tasks else None

    def _take(self, codec: Any, frame: JitterFrame) -> None:
        self.codec = codec
        self.offered += 1
        # To FFmpeg an empty packet is the end of the stream: no decoder decodes anything after one.
        if self._ended or not frame.data:
            self._drop(1)
            return
        if self._oldest_waited_s() > BEHIND_S or len(self._tasks) >= PICTURES_MAX:
            self._clear()
            self._await_key = True
        if self._await_key and not is_key_frame(codec.name, frame.data):
            self._drop(1)
            self._on_behind()
            return
        self._await_key = False
        self._tasks.append((self._clock(), (codec, frame)))

    def _oldest_waited_s(self) -> float:
        return self._clock() - self._tasks[0][0] if self._tasks else 0.0

    def _clear(self) -> None:
        self._drop(len(self._tasks))
        self._tasks.clear()

    def _drop(self, count: int) -> None:
        self.dropped += count
        if self._watch is not None and not self._ended:
            self._watch.dropped("decoder_behind", count)

"""VP8 for a live call: libvpx in real time, and a bitrate that changes without a new encoder or a key frame.

Stands behind aiortc's encoder seam (`aiortc_private.sender`), which hands it aiortc's own packetiser (RFC 7741).
FFmpeg opens libvpx at one bitrate for good. The rate control spends that bitrate in the time that the timestamps tell,
so the encoder's time runs at target / opened of real time: at half the target a second of pictures is told to be half a
second, and gets half the bits. Measured at 512x512 and 20 fps over 2400, 400 and 1200 kbit/s: within 3 %, in a second.
"""

import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
from av.video.frame import PictureType

from mirage_rtc.h264_encoder import MIN_KBPS, TIME_BASE

PICTURE_IDS = 1 << 15
"""RFC 7741 §4.2: the long form of the picture number."""
_TICKS_PER_S = 90_000
_FPS = 30
_GOP_FRAMES = 3000
_GAP_MAX_S = 1 / 12
"""A longer pause does not save up bits, or the picture after it would be a burst."""
_QUANTIZERS = (2, 56)
_OPTIONS = {
    "deadline": "realtime",
    "cpu-used": "-12",  # negative: a fixed speed, not one that follows the load of the machine
    "lag-in-frames": "0",
    "error-resilient": "1",
    "noise-sensitivity": "0",  # the denoiser costs 0.8 ms a picture and 1 dB
    "static-thresh": "1",
    "undershoot-pct": "100",
    "overshoot-pct": "15",
    "max-intra-rate": "300",  # percent of a picture's share, as libwebrtc bounds key frames
}


class RealtimeVp8Encoder:
    """One sender's encoder. Not thread-safe; a sender has one frame in it at a time."""

    def __init__(self, kbps_start: int, kbps_max: int, packetize: Callable[[bytes, int], list[bytes]]) -> None:
        self._max_bps = kbps_max * 1000
        self._target_bps = min(kbps_start, kbps_max) * 1000
        self._packetize = packetize
        self._picture_id = random.randrange(PICTURE_IDS)
        self._codec: Any = None
        self._opened_bps = self._target_bps
        self._ticks = 0.0
        self._last_ticks = -1
        self._last_pts_s: float | None = None

    @property
    def target_bitrate(self) -> int:
        """Bits per second, whatever the frame rate."""
        return self._target_bps

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._target_bps = min(self._max_bps, max(MIN_KBPS * 1000, bitrate))  # a lower maximum wins

    def encode(self, frame: Any, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Encode one yuv420p frame: RTP payloads and their timestamp at 90 kHz. Raises what PyAV raises."""
        if self._codec is None or (frame.width, frame.height) != (self._codec.width, self._codec.height):
            self._codec = self._open(frame.width, frame.height)
        timestamp = int(frame.pts * frame.time_base / TIME_BASE)
        frame.pts, frame.time_base = self._encoder_time(float(frame.pts * frame.time_base)), TIME_BASE
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        data = b"".join(bytes(packet) for packet in self._codec.encode(frame))
        payloads = self._packetize(data, self._picture_id)
        self._picture_id = (self._picture_id + 1) % PICTURE_IDS
        return payloads, timestamp

    def _encoder_time(self, pts_s: float) -> int:
        """What time the encoder is told, in ticks of its time base; strictly growing."""
        gap_s = 0.0 if self._last_pts_s is None else max(0.0, min(_GAP_MAX_S, pts_s - self._last_pts_s))
        self._last_pts_s = pts_s
        self._ticks += gap_s * _TICKS_PER_S * self._target_bps / self._opened_bps
        self._last_ticks = max(self._last_ticks + 1, round(self._ticks))
        return self._last_ticks

    def _open(self, width_px: int, height_px: int) -> Any:
        codec: Any = av.CodecContext.create("libvpx", "w")
        codec.width, codec.height = width_px, height_px
        codec.pix_fmt = "yuv420p"
        codec.time_base = TIME_BASE
        codec.framerate = Fraction(_FPS, 1)
        codec.gop_size = _GOP_FRAMES
        codec.qmin, codec.qmax = _QUANTIZERS
        codec.thread_count = 1
        codec.bit_rate = self._opened_bps = self._target_bps
        rate = str(self._opened_bps)
        codec.options = {**_OPTIONS, "minrate": rate, "maxrate": rate, "bufsize": str(self._opened_bps // 2)}
        return codec

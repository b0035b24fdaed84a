"""H.264 for a live call: x264 with no look-ahead, one thread, and a bitrate that changes without a new encoder.

Stands behind aiortc's encoder seam (`aiortc_private.tune_sender`), which hands it aiortc's own packetiser (RFC 6184,
non-interleaved). Constrained Baseline.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
from av.video.frame import PictureType

MIN_KBPS = 150
TIME_BASE = Fraction(1, 90_000)
"""RTP's clock for video (RFC 6184 §5.1)."""
_FPS = 30
_GOP_FRAMES = 3000
"""Key frames are sent when asked for; this is only a bound."""


def level_for(width_px: int, height_px: int) -> str:
    """The lowest H.264 level for 30 fps (ITU-T H.264 table A-1), as x264 writes it."""
    macroblocks = ((width_px + 15) // 16) * ((height_px + 15) // 16)
    for level, frame_blocks, block_rate in (("30", 1620, 40500), ("31", 3600, 108000), ("40", 8192, 245760)):
        if macroblocks <= frame_blocks and macroblocks * _FPS <= block_rate:
            return level
    return "51"


class RealtimeH264Encoder:
    """One sender's encoder. Not thread-safe; a sender has one frame in it at a time."""

    def __init__(self, kbps_start: int, kbps_max: int, packetize: Callable[[bytes], list[bytes]]) -> None:
        self._max_bps = kbps_max * 1000
        self._target_bps = min(kbps_start, kbps_max) * 1000
        self._packetize = packetize
        self._codec: Any = None

    @property
    def target_bitrate(self) -> int:
        """Bits per second; aiortc sets it from the peer's estimate."""
        return self._target_bps

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._target_bps = max(MIN_KBPS * 1000, min(bitrate, self._max_bps))

    def encode(self, frame: Any, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Encode one yuv420p frame: RTP payloads and their timestamp at 90 kHz."""
        if self._codec is None or (frame.width, frame.height) != (self._codec.width, self._codec.height):
            self._codec = self._open(frame.width, frame.height)
        if self._codec.bit_rate != self._target_bps:
            self._codec.bit_rate = self._target_bps  # libx264 reconfigures itself before the next frame
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        timestamp = int(frame.pts * frame.time_base / TIME_BASE)
        data = b"".join(bytes(packet) for packet in self._codec.encode(frame))
        return self._packetize(data), timestamp

    def _open(self, width_px: int, height_px: int) -> Any:
        codec: Any = av.CodecContext.create("libx264", "w")
        codec.width, codec.height = width_px, height_px
        codec.pix_fmt = "yuv420p"
        codec.time_base = TIME_BASE
        codec.framerate = Fraction(_FPS, 1)
        codec.gop_size = _GOP_FRAMES
        codec.bit_rate = self._target_bps
        codec.thread_count = 1
        codec.options = {
            "preset": "superfast",
            "tune": "zerolatency",
            "level": level_for(width_px, height_px),
            "forced-idr": "1",
            "maxrate": str(self._target_bps),  # constant bitrate: the only mode x264 changes on the fly
            "bufsize": str(self._target_bps // 4),
        }
        codec.profile = "Baseline"
        return codec

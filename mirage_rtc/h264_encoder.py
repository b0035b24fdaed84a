"""H.264 for a live call: no look-ahead, one thread, and a bitrate that changes without a new encoder or a key frame.

Stands behind aiortc's encoder seam (`aiortc_private.sender`), which hands it aiortc's own packetiser (RFC 6184,
non-interleaved). Constrained Baseline, by x264 or by what `encoder_probe` found.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
from av.video.frame import PictureType

SOFTWARE = "libx264"
NVENC = "h264_nvenc"
MIN_KBPS = 150
TIME_BASE = Fraction(1, 90_000)
"""RTP's clock for video (RFC 6184 §5.1)."""
_FPS = 30
"""What the rate control is told; x264 has no one-frame-in-one-frame-out mode with a variable rate."""
_SLOWEST_FPS = 12
"""Below it the bitrate is no longer made up for; also bounds a single gap between two pictures."""
_FPS_WEIGHT = 0.1
_GOP_FRAMES = 3000
"""Key frames are sent when asked for; this is only a bound."""
_BUFFER_S = 0.15
"""Of the highest bitrate: what a key frame may take beyond its share (measured: 15 to 25 kB at 1.2 Mbit/s)."""
_RATE_STEP = 0.02
"""A change smaller than this is not worth a reconfiguration."""


def level_for(width_px: int, height_px: int) -> str:
    """The lowest H.264 level for 30 fps (ITU-T H.264 table A-1), as x264 writes it."""
    macroblocks = ((width_px + 15) // 16) * ((height_px + 15) // 16)
    for level, frame_blocks, block_rate in (("30", 1620, 40500), ("31", 3600, 108000), ("40", 8192, 245760)):
        if macroblocks <= frame_blocks and macroblocks * _FPS <= block_rate:
            return level
    return "51"


class RealtimeH264Encoder:
    """One sender's encoder. Not thread-safe; a sender has one frame in it at a time."""

    def __init__(
        self, kbps_start: int, kbps_max: int, packetize: Callable[[bytes], list[bytes]], *, name: str = SOFTWARE
    ) -> None:
        self._max_bps = kbps_max * 1000
        self._target_bps = min(kbps_start, kbps_max) * 1000
        self._packetize = packetize
        self._name = name
        self._codec: Any = None
        self._fps = float(_FPS)
        self._last_pts_s: float | None = None

    @property
    def target_bitrate(self) -> int:
        """Bits per second, whatever the frame rate."""
        return self._target_bps

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._target_bps = min(self._max_bps, max(MIN_KBPS * 1000, bitrate))  # a lower maximum wins

    def encode(self, frame: Any, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Encode one yuv420p frame: RTP payloads and their timestamp at 90 kHz. Raises what PyAV raises.

        Raises ValueError for an encoder that answers late: it would show what was sent before passthrough ended.
        """
        if self._codec is None or (frame.width, frame.height) != (self._codec.width, self._codec.height):
            self._codec = self._open(frame.width, frame.height)
        self._note_pace(float(frame.pts * frame.time_base))
        self._set_rate()
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        timestamp = int(frame.pts * frame.time_base / TIME_BASE)
        packets = self._codec.encode(frame)
        if any(packet.pts * packet.time_base != frame.pts * frame.time_base for packet in packets):
            raise ValueError(f"{self._name} gave the picture of another frame")
        return self._packetize(b"".join(map(bytes, packets))), timestamp

    def _note_pace(self, pts_s: float) -> None:
        if self._last_pts_s is not None and pts_s > self._last_pts_s:
            fps = max(_SLOWEST_FPS, min(_FPS, 1.0 / (pts_s - self._last_pts_s)))
            self._fps += _FPS_WEIGHT * (fps - self._fps)
        self._last_pts_s = pts_s

    def _set_rate(self) -> None:
        """The codec spends its bitrate on 30 pictures a second; fewer come, so it is given more for each."""
        wanted_bps = self._target_bps * _FPS / self._fps
        if abs(wanted_bps - self._codec.bit_rate) > _RATE_STEP * self._codec.bit_rate:
            self._codec.bit_rate = round(wanted_bps)  # FFmpeg reconfigures the encoder before the next frame

    def _open(self, width_px: int, height_px: int) -> Any:
        codec: Any = av.CodecContext.create(self._name, "w")
        codec.width, codec.height = width_px, height_px
        codec.pix_fmt = "yuv420p"
        codec.time_base = TIME_BASE
        codec.framerate = Fraction(_FPS, 1)
        codec.gop_size = _GOP_FRAMES
        codec.bit_rate = self._max_bps * _FPS // _SLOWEST_FPS  # x264 follows a changed rate up to its first one only
        codec.thread_count = 1
        codec.options = {
            "bufsize": str(round(self._max_bps * _BUFFER_S)),
            "maxrate": str(codec.bit_rate),  # constant bitrate: the only mode x264 changes on the fly
            "forced-idr": "1",
            **_options(self._name, width_px, height_px),
        }
        codec.profile = "Baseline"
        codec.open()
        return codec


def _options(name: str, width_px: int, height_px: int) -> dict[str, str]:
    """The encoder's own options. Measured at 512x512: superfast gives 3 to 5 dB more than ultrafast for 0.8 ms."""
    if name == NVENC:
        return {"preset": "p2", "tune": "ull", "rc": "cbr", "zerolatency": "1", "delay": "0", "profile": "baseline"}
    return {"preset": "superfast", "tune": "zerolatency", "level": level_for(width_px, height_px)}

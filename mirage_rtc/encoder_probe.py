"""Which H.264 encoder of this host really encodes. Asked at start by `mirage_rtc.__main__`, and by `doctor`.

That PyAV has NVENC says nothing about the host (and an H100 has none): a few pictures are encoded and decoded, in a
thread of their own, for a driver may hang. VAAPI is not offered: PyAV's wheels are built without it.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np

from mirage_rtc.h264_encoder import NVENC, SOFTWARE, RealtimeH264Encoder

Wanted = Literal["auto", "x264", "nvenc"]
PROBE_S = 5.0
"""A driver that takes longer for three pictures is as good as none."""
_SIZE_PX = 256
_SHADES = (60, 120, 180)
_TOLERANCE = 6
_NAMES = {SOFTWARE: "x264", NVENC: "NVENC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The encoder that is used, and why."""

    codec: str
    """PyAV's name."""
    why: str

    @property
    def hardware(self) -> bool:
        """Whether it is not x264."""
        return self.codec != SOFTWARE

    @property
    def sentence(self) -> str:
        """For a person."""
        return f"H.264 by {_NAMES[self.codec]} ({self.why})"


def choose(wanted: Wanted, probe: Callable[[str], str | None] | None = None) -> Choice:
    """NVENC where it is wanted and encodes, else x264. Takes up to `PROBE_S`."""
    if wanted == "x264":
        return Choice(codec=SOFTWARE, why="as configured")
    fault = (probe or fault_of)(NVENC)
    if fault is None:
        return Choice(codec=NVENC, why="it encoded and decoded three pictures")
    return Choice(codec=SOFTWARE, why=f"NVENC: {fault}")


def fault_of(codec: str, *, within_s: float = PROBE_S, attempt: Callable[[str], None] | None = None) -> str | None:
    """Why an encoder cannot be used; None when it can."""
    result: list[str | None] = []
    thread = threading.Thread(target=_try, args=(codec, attempt or encode_and_look, result), daemon=True)
    thread.start()
    thread.join(within_s)
    return result[0] if result else f"no answer within {within_s:g} s"


def encode_and_look(codec: str) -> None:
    """Encode three shades of grey and decode them. Raises what PyAV raises, and ValueError when they differ."""
    encoder = RealtimeH264Encoder(1000, 2000, lambda stream: [stream], name=codec)
    decoder: Any = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    seen: list[float] = []
    for number, shade in enumerate(_SHADES):
        frame = av.VideoFrame.from_ndarray(np.full((_SIZE_PX * 3 // 2, _SIZE_PX), shade, np.uint8), format="yuv420p")
        frame.pts, frame.time_base = number * 3000, Fraction(1, 90_000)
        payloads, _ = encoder.encode(frame, number == 0)
        seen += _shades(decoder.decode(av.Packet(b"".join(payloads))))
    seen += _shades(decoder.decode(None))
    if len(seen) != len(_SHADES) or any(abs(a - b) > _TOLERANCE for a, b in zip(seen, _SHADES, strict=True)):
        raise ValueError("what it encoded does not decode")


def _shades(frames: list[Any]) -> list[float]:
    return [float(frame.to_ndarray()[:_SIZE_PX].mean()) for frame in frames]


def _try(codec: str, attempt: Callable[[str], None], result: list[str | None]) -> None:
    try:
        attempt(codec)
    except Exception as error:  # noqa: BLE001 - PyAV raises what FFmpeg makes of a missing library, device or driver
        unusable = isinstance(error, PermissionError)  # FFmpeg's answer to a missing driver library
        result.append("no driver that can be used" if unusable else f"{type(error).__name__}: {error}"[:120])
    else:
        result.append(None)

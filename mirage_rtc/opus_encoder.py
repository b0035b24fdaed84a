"""Opus for a live voice: one packet in 20 ms, mono, in-band redundancy by reported loss.

Stands behind aiortc's encoder seam (`aiortc_private.sender`). The returned voice is one voice, the same on both sides,
so it is sent as mono, which every Opus decoder plays (RFC 7587 §3.4). An encoder holds 6.5 ms of what it was
given last: whoever changes the generation takes a new one.

FFmpeg's libopus has no switch for discontinuous transmission (PyAV takes any option's name without a word): a peer's
usedtx=1 is a permission, and is not used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

RATE_HZ = 48_000
FRAME_SAMPLES = 960
DEFAULT_BPS = 64_000
"""More than fullband speech in mono needs (RFC 7587 §3.1.1: 28 to 40 kbit/s), and half the CPU: 0.10 ms a frame against
0.18 ms at 48 kbit/s, where libopus takes its speech coder besides."""
_BOUNDS_BPS = (6_000, 510_000)
"""RFC 7587 §7.1."""
LOSS_STEPS = (0.0, 0.02, 0.06, 0.12, 0.2)
"""What the encoder is told: redundancy starts at 2 % and grows with the step; it is told anew by opening it anew."""
CALM_FRAMES = 500
"""A lower step is taken after 10 s of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpusWishes:
    """What a peer's fmtp asks of those who send to it (RFC 7587 §6.1)."""

    redundancy: bool = False
    max_bps: int = DEFAULT_BPS

    @classmethod
    def of(cls, fmtp: Mapping[str, Any]) -> "OpusWishes":
        """From the parameters of the peer's `a=fmtp` line; what is absent or no number is not wished for."""
        return cls(
            redundancy=_number(fmtp, "useinbandfec", 0) == 1,
            max_bps=max(_BOUNDS_BPS[0], min(_BOUNDS_BPS[1], _number(fmtp, "maxaveragebitrate", _BOUNDS_BPS[1]))),
        )


class VoiceEncoder:
    """One sender's encoder: s16 mono frames of 960 samples at 48 kHz. Not thread-safe."""

    def __init__(self, wishes: OpusWishes) -> None:
        self._wishes = wishes
        self._loss = 0.0
        self._wanted = 0.0
        self._calm = 0
        self._codec: Any = self._open()

    @property
    def loss(self) -> float:
        """The loss that is provided for, 0..0.2."""
        return self._loss

    def note_loss(self, fraction: float) -> None:
        """Take the loss that the peer reports (0..1)."""
        if self._wishes.redundancy:
            self._wanted = max(step for step in LOSS_STEPS if fraction >= step)

    def encode(self, frame: Any, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Encode 20 ms: one RTP payload and its timestamp. Raises what PyAV raises."""
        self._follow_loss()
        timestamp = int(frame.pts)
        return [bytes(packet) for packet in self._codec.encode(frame)], timestamp

    def _follow_loss(self) -> None:
        """Up at once, down when it stayed low. A new encoder fades in over 6.5 ms, so it is not done often."""
        self._calm = self._calm + 1 if self._wanted < self._loss else 0
        if self._wanted > self._loss or self._calm >= CALM_FRAMES:
            self._loss, self._calm = self._wanted, 0
            self._codec = self._open()

    def _open(self) -> Any:
        codec: Any = av.CodecContext.create("libopus", "w")
        codec.bit_rate = min(DEFAULT_BPS, self._wishes.max_bps)
        codec.format, codec.layout = "s16", "mono"
        codec.sample_rate, codec.time_base = RATE_HZ, Fraction(1, RATE_HZ)
        codec.options = {
            "application": "voip",
            "frame_duration": "20",
            "vbr": "constrained",  # without it a sung vowel takes half as much again
            "fec": str(int(self._loss > 0)),
            "packet_loss": str(round(self._loss * 100)),
        }
        return codec


def _number(fmtp: Mapping[str, Any], name: str, otherwise: int) -> int:
    try:
        return int(fmtp.get(name, otherwise))
    except (TypeError, ValueError):
        return otherwise

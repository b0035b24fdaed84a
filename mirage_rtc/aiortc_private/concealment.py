"""What stands in for sound that never came: Opus' own concealment, asked of the decoder. Used by `decode_queue`.

libopus conceals a packet that says how long it is and holds no frame (RFC 6716 §3.1 and §3.2.1: one TOC byte of code 0;
`opus_decode_frame` in its `src/opus_decoder.c`): the first is hardly heard, and it fades into comfort noise over five.

Opus' in-band FEC is never decoded here: FFmpeg's decoder (`libavcodec/libopusdec.c`, as PyAV 18.1 has it) calls
`opus_multistream_decode` with `decode_fec` 0 and offers no option for it. What a sender spends on FEC is wasted on us.
"""

from aiortc.jitterbuffer import JitterFrame

RATE_HZ = 48_000
"""Opus' RTP clock, whatever the coded bandwidth (RFC 7587 §4.1)."""
LOST_MAX_SAMPLES = 9_600
"""200 ms: what a decoder makes up beyond that is noise; the rest stays a hole, which `audio_path` fills."""
PAUSE_MAX_SAMPLES = 24_000
"""500 ms: a sender that pauses in silence (DTX, RFC 7587 §3.1.3) speaks up every 400 ms. A longer pause stays one."""
_SILK_MS, _CELT_MS, _HYBRID_MS = (10.0, 20.0, 40.0, 60.0), (2.5, 5.0, 10.0, 20.0), (10.0, 20.0)
_HYBRID_CONFIG, _CELT_CONFIG = 12, 16
_MAX_PACKET_MS = 120


def frame_samples(toc: int) -> int:
    """Samples at 48 kHz in each frame of a packet, by its TOC byte (RFC 6716 §3.1, table 2)."""
    config = toc >> 3
    if config < _HYBRID_CONFIG:
        frame_ms = _SILK_MS[config & 3]
    elif config < _CELT_CONFIG:
        frame_ms = _HYBRID_MS[config & 1]
    else:
        frame_ms = _CELT_MS[config & 3]
    return round(frame_ms * RATE_HZ / 1000)


def _of_20_ms(toc: int) -> int:
    """The TOC byte of the same mode and bandwidth with frames of at least 20 ms."""
    config = toc >> 3
    if config < _CELT_CONFIG:
        return toc if frame_samples(toc) >= 960 else toc | 0x08
    return toc | 0x18


def packet_samples(data: bytes) -> int:
    """Samples at 48 kHz in a packet (RFC 6716 §3.2); 0 of one that is malformed."""
    if not data:
        return 0
    counted = data[1] & 0x3F if len(data) > 1 else 0
    count = (1, 2, 2, counted)[data[0] & 3]
    samples = count * frame_samples(data[0])
    return samples if samples <= _MAX_PACKET_MS * RATE_HZ // 1000 else 0


class Concealment:
    """Follows one Opus track and says what must be decoded before each packet, so that the timeline has no hole."""

    def __init__(self) -> None:
        self.lost_samples = 0
        self.pause_samples = 0
        self._toc: int | None = None
        self._end = 0

    def before(self, frame: JitterFrame, *, lost: bool) -> list[JitterFrame]:
        """Packets that make the decoder fill the time before `frame` (its timestamp unwrapped, at 48 kHz).

        `lost` tells packets that were given up from a pause in which nothing was sent.
        """
        samples = packet_samples(frame.data)
        if not samples:
            return []  # the decoder will refuse it, and the next packet's gap covers it
        fill = self._fill(frame.timestamp - self._end, lost=lost)
        self._toc, self._end = frame.data[0] & 0xFC, frame.timestamp + samples
        return fill

    def _fill(self, gap: int, *, lost: bool) -> list[JitterFrame]:
        if self._toc is None or gap <= 0:
            return []
        if lost:
            gap = min(gap, LOST_MAX_SAMPLES)
        elif gap > PAUSE_MAX_SAMPLES:
            return []
        parts, filled = [], 0
        for toc in dict.fromkeys((_of_20_ms(self._toc), self._toc)):  # few long parts, the rest in the packet's own
            step = frame_samples(toc)
            while gap - filled >= step:
                parts.append(JitterFrame(data=bytes([toc]), timestamp=self._end + filled))
                filled += step
        if lost:
            self.lost_samples += filled
        else:
            self.pause_samples += filled
        return parts

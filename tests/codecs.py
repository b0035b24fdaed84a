"""Real codec round trips for `test_leak_detector`: what a frame or a packet looks like after the wire.

The settings are those of the product and of aiortc: x264 ultrafast with zero latency, libvpx in real time, Opus "voip"
at 96 kbps in 20 ms packets.
"""

import fractions
from collections.abc import Iterable
from typing import Literal

import av
import numpy as np

from models.engines import Frame, Samples

OPUS_DELAY = 312
"""Samples at 48 kHz by which the Opus decoder's output is late (RFC 6716, 6.5 ms)."""
PACKET = 960


def video_round_trip(frames: Iterable[Frame], codec: Literal["h264", "vp8"], kbps: int, fps: int = 25) -> list[Frame]:
    """Encode and decode frames of one size, as BGR; one frame out for each in."""
    encoder: av.VideoCodecContext | None = None
    decoder = av.VideoCodecContext.create("h264" if codec == "h264" else "libvpx", "r")
    received: list[Frame] = []
    for index, image in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(image, "bgr24").reformat(format="yuv420p")
        encoder = encoder or _video_encoder(codec, kbps, fps, (frame.width, frame.height))
        frame.pts, frame.time_base = index, fractions.Fraction(1, fps)
        for packet in encoder.encode(frame):
            shown = decoder.decode(av.Packet(bytes(packet)))
            received.extend(np.asarray(out.to_ndarray(format="bgr24"), np.uint8) for out in shown)
    return received


def opus_round_trip(samples: Samples) -> Samples:
    """Encode and decode mono sound at 48 kHz; the result is `OPUS_DELAY` late."""
    encoder, decoder = _opus_encoder(), av.CodecContext.create("libopus", "r")
    decoder.format, decoder.layout, decoder.sample_rate = "s16", "stereo", 48000
    heard: list[Samples] = []
    for start in range(0, len(samples) - PACKET + 1, PACKET):
        pcm = (np.clip(samples[start : start + PACKET], -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(pcm, 2).reshape(1, -1), "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, fractions.Fraction(1, 48000)
        for packet in encoder.encode(frame):
            for out in decoder.decode(av.Packet(bytes(packet))):
                heard.append((out.to_ndarray().reshape(-1, 2).mean(axis=1) / 32768).astype(np.float32))
    return np.concatenate(heard)


def _video_encoder(
    codec: Literal["h264", "vp8"], kbps: int, fps: int, size_px: tuple[int, int]
) -> av.VideoCodecContext:
    encoder = av.VideoCodecContext.create("libx264" if codec == "h264" else "libvpx", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.pix_fmt, encoder.bit_rate, encoder.thread_count = "yuv420p", kbps * 1000, 1
    encoder.framerate, encoder.time_base = fractions.Fraction(fps, 1), fractions.Fraction(1, fps)
    encoder.width, encoder.height = size_px
    encoder.gop_size = 3000
    rate = str(kbps * 1000)
    if codec == "h264":
        encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    else:
        encoder.qmin, encoder.qmax = 2, 56
        encoder.options = {"deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0", "maxrate": rate}
    return encoder


def _opus_encoder() -> av.AudioCodecContext:
    encoder = av.AudioCodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.format, encoder.layout, encoder.sample_rate = "s16", "stereo", 48000
    encoder.bit_rate, encoder.options, encoder.time_base = 96000, {"application": "voip"}, fractions.Fraction(1, 48000)
    return encoder

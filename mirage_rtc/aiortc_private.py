"""Every correction of aiortc and aioice, read at aiortc 1.16.0 and aioice 0.13.0. The only file that touches their
private names; `session` applies it to each peer connection between the offer and the answer.

What is corrected, and where upstream stands (tests/test_aiortc_private.py fails when a name below moves):
- rtcrtpreceiver.JitterBuffer gives a video frame out only when the next one begins, and after one lost audio packet
  stays 280 ms late (aiortc#543): `MediaBuffer` goes by the RTP marker and waits two packets for a hole.
- the decoder queue is unbounded (aiortc#1192) and close() joins its thread on the loop: `DecodeQueue`.
- rtcrtpsender encodes in the loop's default executor, re-creates the encoder for a new bitrate, and measures the audio
  level sample by sample in Python: `tune_sender`.
- aioice never offers a loopback address, takes any UDP port (aioice#47), knows no 1:1 NAT: `offer_loopback`,
  `limit_udp_ports`, `advertise`.
"""

import asyncio
import contextlib
import itertools
import math
import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import aioice.ice
import numpy as np
from aiortc import MediaStreamTrack, RTCRtpReceiver, RTCRtpSender
from aiortc.codecs import get_encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_add
from av import AudioFrame

from mirage_rtc.h264_encoder import RealtimeH264Encoder

READ_AT = {"aiortc": "1.16.0", "aioice": "0.13.0"}

AUDIO_HOLE_PACKETS = 2
"""A lost audio packet is given up when more newer ones than this wait: late is as bad as lost."""
DECODE_BACKLOG = 3
"""Encoded pictures waiting for the decoder; more means it is behind, and all go until the next key frame."""
_H264_KEY_NAL_TYPES = frozenset((5, 7, 8))


class MediaBuffer:
    """A jitter buffer with upstream's interface: `add(packet)` answers (send a PLI, a frame or None).

    A video frame is complete at its marker bit (RFC 6184 §5.1, RFC 7741 §4.1); an audio frame is one packet (RFC 7587).
    """

    def __init__(self, *, capacity: int, is_video: bool) -> None:
        self.capacity = capacity
        self._is_video = is_video
        self._origin: int | None = None
        self._packets: dict[int, RtpPacket] = {}

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Keep a packet; the oldest frame that is complete, if there is one."""
        sequence = packet.sequence_number
        if self._origin is None:
            self._origin = sequence
        ahead = uint16_add(sequence, -self._origin)
        if ahead >= 0x8000:
            return False, None  # older than what was given out
        overrun = ahead >= self.capacity
        if overrun:
            self._packets.clear()
            self._origin = sequence
        self._packets[sequence] = packet
        return overrun and self._is_video, self.take()

    def take(self) -> JitterFrame | None:
        """The oldest complete frame."""
        return self._take_picture() if self._is_video else self._take_sound()

    def _take_picture(self) -> JitterFrame | None:
        if self._origin is None:
            return None
        parts: list[RtpPacket] = []
        sequence = self._origin
        while (packet := self._packets.get(sequence)) is not None:
            if parts and packet.timestamp != parts[0].timestamp:
                return self._give(parts)  # the marker was missing: the next frame began
            parts.append(packet)
            if packet.marker:
                return self._give(parts)
            sequence = uint16_add(sequence, 1)
        return None

    def _take_sound(self) -> JitterFrame | None:
        if self._origin is None or not self._packets:
            return None
        if self._origin not in self._packets:
            if len(self._packets) <= AUDIO_HOLE_PACKETS:
                return None
            origin = self._origin
            self._origin = min(self._packets, key=lambda sequence: uint16_add(sequence, -origin))
        return self._give([self._packets[self._origin]])

    def _give(self, parts: list[RtpPacket]) -> JitterFrame:
        for packet in parts:
            del self._packets[packet.sequence_number]
        self._origin = uint16_add(parts[-1].sequence_number, 1)
        data = b"".join(packet._data for packet in parts)  # type: ignore[attr-defined]
        return JitterFrame(data=data, timestamp=parts[0].timestamp)


def is_key_frame(codec_name: str, data: bytes) -> bool:
    """Whether an encoded picture can be decoded alone (RFC 6184 NAL unit types; RFC 6386 §9.1)."""
    if codec_name == "VP8":
        return bool(data) and not data[0] & 1
    start = data.find(b"\x00\x00\x01")
    return start >= 0 and start + 3 < len(data) and data[start + 3] & 0x1F in _H264_KEY_NAL_TYPES


class DecodeQueue:
    """The queue before a decoder thread, bounded: when the decoder is behind, pictures go until the next key frame."""

    def __init__(self, *, is_video: bool, on_behind: Callable[[], None]) -> None:
        self.dropped = 0
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
        if self._is_video and not self._wanted(*task):
            self.dropped += 1
            return None
        return self._queue.put(task)

    def get(self) -> Any:
        """The next task; blocks the decoder's thread."""
        return self._queue.get()

    def _wanted(self, codec: Any, frame: JitterFrame) -> bool:
        key = is_key_frame(codec.name, frame.data)
        if self._queue.qsize() >= DECODE_BACKLOG:
            self._clear()
            self._await_key = True
            self._on_behind()
        if self._await_key and not key:
            return False
        self._await_key = False
        return True

    def _clear(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
            self.dropped += 1


def tune_receiver(started_not_yet: RTCRtpReceiver, on_packet: Callable[[], None]) -> None:
    """Give a receiver that has not started our buffers; `on_packet` is called for every RTP packet."""
    receiver: Any = started_not_yet
    is_video = receiver._RTCRtpReceiver__kind == "video"
    buffer = MediaBuffer(capacity=512 if is_video else 16, is_video=is_video)
    error = receiver._RTCRtpReceiver__decoder_error  # upstream turns it into a PLI on the next packet
    decode = DecodeQueue(is_video=is_video, on_behind=error.set)
    receiver._RTCRtpReceiver__jitter_buffer = buffer
    receiver._RTCRtpReceiver__decoder_queue = decode
    handle = receiver._handle_rtp_packet

    async def handle_and_drain(packet: RtpPacket, arrival_time_ms: int) -> None:
        on_packet()
        await handle(packet, arrival_time_ms)
        while decode.codec is not None and (frame := buffer.take()) is not None:
            frame.timestamp = receiver._RTCRtpReceiver__timestamp_mapper.map(frame.timestamp)
            decode.put((decode.codec, frame))

    receiver._handle_rtp_packet = handle_and_drain


def packetize_h264(stream: bytes) -> list[bytes]:
    """RTP payloads of one encoded H.264 picture (RFC 6184, packetization mode 1), by aiortc's own packetiser."""
    return H264Encoder._packetize(H264Encoder._split_bitstream(stream))


def audio_level_dbov(frame: AudioFrame) -> int:
    """The level of an s16 frame in dBov, -127 to 0 (RFC 6464), by numpy."""
    samples = np.frombuffer(bytes(frame.planes[0]), np.int16)[: frame.samples * len(frame.layout.channels)]
    power = float(np.mean(np.square(samples.astype(np.float32)))) / 32767.0**2 if len(samples) else 0.0
    return -127 if power <= 1e-12 else round(max(-127.0, min(0.0, 10.0 * math.log10(power))))


class Source(Protocol):
    """What a tuned sender needs of its track beside `recv`."""

    generation: int
    """Of the frame last handed over; when it grows, the next picture must not build on the former ones."""

    def is_stale(self) -> bool:
        """Whether what was last handed over may no longer be sent."""


def tune_sender(
    started_not_yet: RTCRtpSender,
    source: Source,
    *,
    threads: ThreadPoolExecutor,
    kbps_start: int,
    kbps_max: int,
    on_feedback: Callable[[], None],
) -> None:
    """Let a sender encode in `threads` with our encoder, and drop what by then is stale: of a past generation."""
    sender: Any = started_not_yet
    encoders: dict[str, Any] = {}
    encoded_generation = source.generation

    def encoder_for(codec: Any) -> Any:
        if codec.name not in encoders:
            h264 = codec.name == "H264"
            tuned = RealtimeH264Encoder(kbps_start, kbps_max, packetize_h264) if h264 else get_encoder(codec)
            encoders[codec.name] = sender._RTCRtpSender__encoder = tuned
        return encoders[codec.name]

    async def next_encoded_frame(codec: Any) -> RTCEncodedFrame | None:
        nonlocal encoded_generation
        track: MediaStreamTrack = sender._RTCRtpSender__track
        frame: Any = await track.recv()
        key = sender._RTCRtpSender__force_keyframe or source.generation != encoded_generation
        encoded_generation = source.generation
        sender._RTCRtpSender__force_keyframe = False
        encode = encoder_for(codec).encode
        payloads, timestamp = await asyncio.get_running_loop().run_in_executor(threads, encode, frame, key)
        if source.is_stale():
            sender._send_keyframe()  # what was dropped was a reference
            return None
        level: Any = audio_level_dbov(frame) if isinstance(frame, AudioFrame) else None
        return RTCEncodedFrame(payloads, timestamp, level) if payloads else None

    handle_rtcp = sender._handle_rtcp_packet

    async def handle_and_note(packet: Any) -> None:
        on_feedback()
        await handle_rtcp(packet)

    sender._next_encoded_frame = next_encoded_frame
    sender._handle_rtcp_packet = handle_and_note


def without_receiver_estimate(sdp: str) -> str:
    """The SDP without REMB and abs-send-time: upstream's estimator throttles a loss-free uplink to a quarter."""
    unwanted = ("goog-remb", "abs-send-time")
    return "".join(line for line in sdp.splitlines(keepends=True) if not any(word in line for word in unwanted))


def advertise(sdp: str, public_ips: tuple[str, ...]) -> str:
    """The SDP with each host candidate given once more for every public address (a 1:1 NAT keeps ports; RFC 8839)."""
    lines: list[str] = []
    for line in sdp.splitlines(keepends=True):
        lines.append(line)
        parts = line.split(" ")
        if line.startswith("a=candidate:") and "typ host" in line:
            lines += [" ".join([*parts[:4], ip, *parts[5:]]) for ip in public_ips if (":" in ip) == (":" in parts[4])]
    return "".join(lines)


def limit_udp_ports(loop: asyncio.AbstractEventLoop, low: int, high: int) -> None:
    """Bind every datagram socket of `loop` that asks for any port between `low` and `high`, both included."""
    create = loop.create_datagram_endpoint
    ports = itertools.cycle(range(low, high + 1))

    async def create_in_range(factory: Any, local_addr: Any = None, **options: Any) -> Any:
        if local_addr is None or local_addr[1] != 0:
            return await create(factory, local_addr=local_addr, **options)
        for _ in range(low, high + 1):
            with contextlib.suppress(OSError):
                return await create(factory, local_addr=(local_addr[0], next(ports)), **options)
        raise OSError("no free UDP port between MIRAGE_UDP_PORT_MIN and MIRAGE_UDP_PORT_MAX")

    setattr(loop, "create_datagram_endpoint", create_in_range)  # noqa: B010 - mypy refuses a plain assignment


def offer_loopback(enabled: bool) -> None:
    """Let ICE offer 127.0.0.1 too, for a server that listens on loopback only. Process-wide."""
    found = aioice.ice.get_host_addresses
    original = getattr(found, "original", found)

    def with_loopback(use_ipv4: bool = True, use_ipv6: bool = True) -> list[str]:
        return [*original(use_ipv4, use_ipv6), "127.0.0.1"]

    with_loopback.original = original  # type: ignore[attr-defined]
    aioice.ice.get_host_addresses = with_loopback if enabled else original


class Liveness:
    """When the peer was last heard: any RTP or RTCP. Ends the 30 s that upstream waits for a dead peer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.heard_s = clock()

    def hear(self) -> None:
        """Something came."""
        self.heard_s = self._clock()

    @property
    def silent_s(self) -> float:
        """Seconds of silence."""
        return self._clock() - self.heard_s

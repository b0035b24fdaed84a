"""The corrections of aiortc. The first tests fail when upstream moves a name that the corrections touch."""

import asyncio
import inspect
from importlib.metadata import version

import aioice.ice
import aiortc.rtcrtpreceiver
import numpy as np
import pytest
from aiortc import RTCRtpReceiver, RTCRtpSender
from aiortc.rtp import RtpPacket
from av import AudioFrame

from mirage_rtc.aiortc_private import (
    READ_AT,
    DecodeQueue,
    Liveness,
    MediaBuffer,
    advertise,
    audio_level_dbov,
    is_key_frame,
    limit_udp_ports,
    offer_loopback,
    without_receiver_estimate,
)


def test_the_corrections_were_read_at_the_installed_versions() -> None:
    """A new aiortc or aioice must be read before it is used."""
    assert {name: version(name) for name in READ_AT} == READ_AT


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (
            RTCRtpReceiver,
            [
                "__kind",
                "__decoder_error",
                "__jitter_buffer",
                "__decoder_queue",
                "__timestamp_mapper",
                "_handle_rtp_packet",
            ],
        ),
        (RTCRtpSender, ["__track", "__force_keyframe", "__encoder", "_send_keyframe", "_next_encoded_frame"]),
    ],
)
def test_upstream_still_has_the_private_names(owner: type, names: list[str]) -> None:
    """Every private name that is touched is used by upstream's own code."""
    source = inspect.getsource(owner)

    assert [name for name in names if f"self.{name}" not in source and f"def {name}" not in source] == []


def test_upstream_still_uses_the_buffer_and_the_queue_as_we_provide_them() -> None:
    """`add` answers a pair; the decoder thread reads with `get`."""
    assert "pli_flag, encoded_frame = self.__jitter_buffer.add(packet)" in inspect.getsource(RTCRtpReceiver)
    assert "input_q.get()" in inspect.getsource(aiortc.rtcrtpreceiver.decoder_worker)


def _packet(sequence: int, timestamp: int = 0, *, marker: bool = False) -> RtpPacket:
    packet = RtpPacket(sequence_number=sequence & 0xFFFF, timestamp=timestamp, marker=int(marker))
    packet._data = bytes([sequence & 0xFF])  # type: ignore[attr-defined]
    return packet


def _feed(buffer: MediaBuffer, packets: list[RtpPacket]) -> list[tuple[int, int]]:
    """(index of the packet that completed it, frame timestamp) of each frame."""
    out = []
    for index, packet in enumerate(packets):
        _, frame = buffer.add(packet)
        while frame is not None:
            out.append((index, frame.timestamp))
            frame = buffer.take()
    return out


def test_a_picture_leaves_at_its_marker() -> None:
    """Not at the next picture's first packet, as upstream has it."""
    buffer = MediaBuffer(capacity=512, is_video=True)
    packets = [_packet(n, n // 3 * 3000, marker=n % 3 == 2) for n in range(9)]

    assert _feed(buffer, packets) == [(2, 0), (5, 3000), (8, 6000)]


def test_a_lost_sound_packet_costs_two_packets_once() -> None:
    """The hole is given up when three newer ones wait; then all leave, and the delay is what it was."""
    buffer = MediaBuffer(capacity=16, is_video=False)
    packets = [_packet(n, n) for n in range(20) if n != 5]
    frames = _feed(buffer, packets)

    assert [timestamp for _, timestamp in frames] == [n for n in range(20) if n != 5]
    assert [index for index, timestamp in frames if timestamp in (6, 7, 8)] == [7, 7, 7]
    assert frames[-1] == (18, 19)


def test_reordered_packets_are_put_right() -> None:
    """Two packets that changed places leave in order."""
    buffer = MediaBuffer(capacity=16, is_video=False)
    order = [0, 1, 3, 2, 4]

    assert [timestamp for _, timestamp in _feed(buffer, [_packet(n, n) for n in order])] == [0, 1, 2, 3, 4]


def test_the_sequence_number_wraps() -> None:
    """65535 is followed by 0."""
    buffer = MediaBuffer(capacity=16, is_video=False)

    assert len(_feed(buffer, [_packet(65_530 + n, n) for n in range(12)])) == 12


def test_an_overrun_asks_for_a_key_frame_and_goes_on() -> None:
    """A jump beyond the capacity drops what was kept, and the next picture is whole."""
    buffer = MediaBuffer(capacity=16, is_video=True)
    buffer.add(_packet(0, 0))
    pli, frame = buffer.add(_packet(100, 9000, marker=True))

    assert pli
    assert frame is not None
    assert frame.timestamp == 9000


def test_an_old_packet_is_ignored() -> None:
    """What was already given out does not come back."""
    buffer = MediaBuffer(capacity=16, is_video=False)
    _feed(buffer, [_packet(n, n) for n in range(10, 15)])

    assert buffer.add(_packet(11, 11)) == (False, None)


class _Codec:
    def __init__(self, name: str) -> None:
        self.name = name


def _encoded(data: bytes) -> object:
    return type("Encoded", (), {"data": data})()


def test_a_decoder_that_is_behind_skips_to_the_next_key_frame() -> None:
    """Beyond three waiting pictures all go, and so does everything until a key frame."""
    behind: list[int] = []
    queue = DecodeQueue(is_video=True, on_behind=lambda: behind.append(1))
    key, delta = b"\x00\x00\x01\x65", b"\x00\x00\x01\x41"
    for data in (key, delta, delta, delta, delta, key, delta):
        queue.put((_Codec("H264"), _encoded(data)))

    assert behind == [1]
    assert [queue.get()[1].data for _ in range(2)] == [key, delta]
    assert queue.dropped == 5


def test_the_end_overtakes_a_backlog() -> None:
    """Closing does not wait for what is queued."""
    queue = DecodeQueue(is_video=False, on_behind=lambda: None)
    for _ in range(150):
        queue.put((_Codec("opus"), _encoded(b"")))
    queue.put(None)

    assert queue.get() is None


@pytest.mark.parametrize(
    ("codec", "data", "key"),
    [
        ("VP8", b"\x10", True),
        ("VP8", b"\x11", False),
        ("H264", b"\0\0\0\1\x67", True),
        ("H264", b"\0\0\0\1\x41", False),
    ],
)
def test_key_frames_are_told_by_their_first_bytes(codec: str, data: bytes, *, key: bool) -> None:
    """VP8's inverse key bit; H.264's NAL unit type."""
    assert is_key_frame(codec, data) is key


def test_the_audio_level_is_upstreams() -> None:
    """The numpy level equals aiortc's own sample loop, and silence is -127."""
    from aiortc.rtp import compute_audio_level_dbov

    rng = np.random.default_rng(3)
    for peak in (0, 10, 3000, 32000):
        pcm = rng.integers(-peak, peak + 1, (1, 960), dtype=np.int16)
        frame = AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        assert abs(audio_level_dbov(frame) - compute_audio_level_dbov(frame)) <= 1


def test_the_answer_loses_the_receiver_estimate_only() -> None:
    """REMB and abs-send-time lines go, everything else stays."""
    sdp = "v=0\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 nack pli\r\na=extmap:2 http://x/abs-send-time\r\n"

    assert without_receiver_estimate(sdp) == "v=0\r\na=rtcp-fb:96 nack pli\r\n"


def test_loopback_is_offered_on_demand() -> None:
    """Twice on and once off leaves upstream as it was."""
    original = aioice.ice.get_host_addresses
    offer_loopback(True)
    offer_loopback(True)
    assert aioice.ice.get_host_addresses(True, False).count("127.0.0.1") == 1
    offer_loopback(False)

    assert aioice.ice.get_host_addresses is original


def test_silence_is_measured_from_the_last_packet() -> None:
    """`hear` sets the silence back."""
    now = [0.0]
    liveness = Liveness(lambda: now[0])
    now[0] = 4.0
    assert liveness.silent_s == 4.0
    liveness.hear()

    assert liveness.silent_s == 0.0


def test_public_addresses_are_named_beside_host_candidates() -> None:
    """Every host candidate comes again with each public address of its family, port and rest unchanged."""
    sdp = "v=0\r\na=candidate:1 1 udp 2130706431 10.0.0.5 50000 typ host\r\na=end-of-candidates\r\n"
    named = advertise(sdp, ("203.0.113.7", "2001:db8::7")).splitlines()

    assert named[1:3] == [
        "a=candidate:1 1 udp 2130706431 10.0.0.5 50000 typ host",
        "a=candidate:1 1 udp 2130706431 203.0.113.7 50000 typ host",
    ]
    assert len(named) == 4


async def test_udp_ports_stay_in_their_range() -> None:
    """Sockets that ask for any port get one of the range, and a full range is an OSError."""
    loop = asyncio.get_running_loop()
    limit_udp_ports(loop, 41_730, 41_731)
    opened = [
        (await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)))[0]
        for _ in range(2)
    ]
    ports = {transport.get_extra_info("sockname")[1] for transport in opened}
    with pytest.raises(OSError, match="MIRAGE_UDP_PORT_MIN"):
        await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    for transport in opened:
        transport.close()

    assert ports == {41_730, 41_731}

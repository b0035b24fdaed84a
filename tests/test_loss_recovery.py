"""A minute of a lossy network in virtual time: real receivers, fed by a far end that answers NACK and PLI like aiortc.

The path loses RTP and RTCP alike, both ways. What counts is when frames reach the decoder.
"""

import asyncio
import itertools
from collections.abc import Awaitable
from typing import Any, cast

import pytest
from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RTP_HISTORY_SIZE, RtcpPacket, RtcpPsfbPacket, RtcpRtpfbPacket, RtpPacket

from mirage_rtc.aiortc_private.receiver import TunedReceiver
from mirage_rtc.aiortc_private.sound_queue import SoundQueue
from tests.lossy_link import Loses, RandomLoss
from tests.rtp_wire import Wire
from tests.virtual_time import FakeClock, run

MINUTE_S = 60.0
FPS, PACKETS, KEY_PACKETS = 20, 4, 14
CODECS = {
    "video": RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=97),
    "audio": RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, payloadType=96),
}
SECOND_OF_TICKS = {"video": 90_000, "audio": 48_000}
OPUS_20_MS = b"\xf8\xff\xfe"


class LossyWire(Wire):
    """What the receiver says reaches the far end half a round trip later, or never."""

    def __init__(self, loses: Loses, half_trip_s: float) -> None:
        super().__init__()
        self.far_end: FarEnd | None = None
        self._loses = loses
        self._half_trip_s = half_trip_s

    async def _send_rtp(self, data: bytes) -> None:
        if self.far_end is not None and not self._loses(data):
            asyncio.get_running_loop().call_later(self._half_trip_s, self.far_end.hear, data)


class FarEnd:
    """Sends a track; keeps its last 128 packets, and makes its next picture a key frame when asked to."""

    def __init__(self, kind: str, receiver: Any, clock: FakeClock, loses: Loses, half_trip_s: float) -> None:
        self.sent_at: dict[int, float] = {}
        self._kind = kind
        self._receiver = receiver
        self._clock = clock
        self._loses = loses
        self._half_trip_s = half_trip_s
        self._history: dict[int, RtpPacket] = {}
        self._sequence = 65_500
        self._key = True
        self._tasks: set[asyncio.Task[None]] = set()

    def hear(self, data: bytes) -> None:
        """RTCP."""
        for packet in RtcpPacket.parse(data):
            if isinstance(packet, RtcpPsfbPacket):
                self._key = True
            elif isinstance(packet, RtcpRtpfbPacket):
                for sequence in packet.lost:
                    kept = self._history.get(sequence % RTP_HISTORY_SIZE)
                    if kept is not None and kept.sequence_number == sequence:
                        self._send(kept)

    async def run(self, seconds: float) -> None:
        """Send the track for so long."""
        rate = FPS if self._kind == "video" else 50
        for n in range(round(seconds * rate)):
            timestamp = n * SECOND_OF_TICKS[self._kind] // rate
            self.sent_at[timestamp] = self._clock()
            payloads = self._picture() if self._kind == "video" else [OPUS_20_MS]
            for payload in payloads:
                self._send(self._packet(payload, timestamp, last=payload is payloads[-1]))
            await asyncio.sleep(1 / rate)
        await asyncio.gather(*self._tasks)

    def _picture(self) -> list[bytes]:
        key, self._key = self._key, False
        first, rest = (b"\x7c\x85\x88", b"\x7c\x05") if key else (b"\x7c\x81\x9a", b"\x7c\x01")
        return [first] + [rest + bytes([n]) for n in range((KEY_PACKETS if key else PACKETS) - 1)]

    def _packet(self, payload: bytes, timestamp: int, *, last: bool) -> RtpPacket:
        packet = RtpPacket(
            payload_type=CODECS[self._kind].payloadType or 0,
            sequence_number=self._sequence,
            timestamp=timestamp,
            marker=int(last),
            ssrc=5,
        )
        packet.payload = payload
        self._history[self._sequence % RTP_HISTORY_SIZE] = packet
        self._sequence = (self._sequence + 1) % 65_536
        return packet

    def _send(self, packet: RtpPacket) -> None:
        if not self._loses(b""):
            task = asyncio.get_running_loop().create_task(self._deliver(packet))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, packet: RtpPacket) -> None:
        await asyncio.sleep(self._half_trip_s)
        await cast("Awaitable[None]", self._receiver._handle_rtp_packet(packet, 0))


class Minute:
    """What a receiver made of a minute: (when, timestamp, data) of all that its decoder was given."""

    def __init__(
        self, kind: str, share: float, *, burst: int = 1, round_trip_s: float = 0.01, lose: list[int] | None = None
    ) -> None:
        self._lose, self._sent = lose or [], 0
        self.decoded: list[tuple[float, int, bytes]] = []
        self.clock = FakeClock()
        run(self._pass(kind, share, burst, round_trip_s / 2), self.clock)

    async def _pass(self, kind: str, share: float, burst: int, half_trip_s: float) -> None:
        wire = LossyWire(RandomLoss(share, burst=burst, seed=1), half_trip_s)
        upstream = cast("Any", RTCRtpReceiver(kind, cast("Any", wire)))
        upstream._RTCRtpReceiver__codecs[CODECS[kind].payloadType] = CODECS[kind]
        upstream._RTCRtpReceiver__decoder_thread = object()
        upstream._set_rtcp_ssrc(7)
        self.tuned = TunedReceiver(upstream, clock=self.clock)
        self._listen()
        loses = self._lose_these if self._lose else RandomLoss(share, burst=burst, seed=2)
        self.far_end = FarEnd(kind, upstream, self.clock, loses, half_trip_s)
        wire.far_end = self.far_end
        ticking = asyncio.create_task(self.tuned.run())
        await self.far_end.run(MINUTE_S)
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)

    def _lose_these(self, _: bytes) -> bool:
        self._sent += 1
        return self._sent in self._lose

    def _listen(self) -> None:
        """Take at once what the decoder would."""
        queue: Any = self.tuned._decode
        if type(queue) is SoundQueue:
            setattr(queue, "_decode", lambda _, frame: self._decode(frame))  # noqa: B010 - mypy refuses an assignment
            return
        put = queue.put

        def put_and_take(task: Any) -> None:
            put(task)
            while queue._tasks:
                self._decode(queue.get()[1])

        queue.put = put_and_take

    def _decode(self, frame: JitterFrame) -> None:
        self.decoded.append((self.clock(), frame.timestamp, frame.data))

    def gaps_ms(self) -> list[float]:
        """Between frames that were given to the decoder."""
        times = [at_s for at_s, _, _ in self.decoded]
        return [1000 * (after - before) for before, after in itertools.pairwise(times)]

    def ages_ms(self) -> list[float]:
        """From sending a packet of sound to decoding it; what was made up is not counted."""
        first = min(self.far_end.sent_at)
        return sorted(
            1000 * (at_s - self.far_end.sent_at[first + pts]) for at_s, pts, data in self.decoded if data == OPUS_20_MS
        )


LOSSES = [(0.01, 1), (0.03, 1), (0.05, 1), (0.02, 5)]


@pytest.mark.parametrize(("share", "burst"), LOSSES)
@pytest.mark.parametrize("round_trip_s", [0.002, 0.04, 0.1])
def test_the_picture_never_stands_still_for_300_ms(share: float, burst: int, round_trip_s: float) -> None:
    """Nor is more than one picture in fifty left out."""
    minute = Minute("video", share, burst=burst, round_trip_s=round_trip_s)

    assert max(minute.gaps_ms()) <= 300
    assert len(minute.decoded) >= 0.98 * MINUTE_S * FPS


@pytest.mark.parametrize(("share", "burst"), LOSSES)
def test_the_sound_is_whole_and_never_late(share: float, burst: int) -> None:
    """Every 20 ms of the minute is decoded or made up, in order, and what is decoded waited for 60 ms at most."""
    minute = Minute("audio", share, burst=burst)
    pts = [pts for _, pts, _ in minute.decoded]
    ages_ms = minute.ages_ms()

    assert [after - before for before, after in itertools.pairwise(pts)] == [960] * (len(pts) - 1)
    assert minute.tuned.concealed_ms >= 0.5 * share * 1000 * MINUTE_S
    assert ages_ms[-1] <= 66
    assert ages_ms[round(0.9 * len(ages_ms))] <= 6


def test_one_lost_packet_of_sound_delays_two_others_and_no_more() -> None:
    """The next one waits 40 ms, the one after it 20, the third not at all, and nothing after that."""
    minute = Minute("audio", 0.0, lose=[500])
    late = [age_ms for age_ms in minute.ages_ms() if age_ms > 6]

    assert late == pytest.approx([25, 45], abs=1)
    assert minute.tuned.concealed_ms == 20
    assert len(minute.decoded) == 60 * 50


def test_without_loss_nothing_is_asked_for_or_made_up() -> None:
    """A minute of a perfect network."""
    video, audio = Minute("video", 0.0), Minute("audio", 0.0)

    assert (len(video.decoded), len(audio.decoded)) == (60 * FPS, 60 * 50)
    assert max(video.gaps_ms()) < 51
    assert audio.tuned.concealed_ms == 0

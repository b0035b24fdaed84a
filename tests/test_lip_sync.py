"""The specification's Sync Strategy, rule by rule in its own words, in virtual time."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from mirage_rtc.gate import PictureGate, SafePicture
from mirage_rtc.lip_sync import SyncRule
from mirage_rtc.metrics import Metrics
from mirage_rtc.video_path import VideoPath
from tests import virtual_time
from tests.call_parts import picture
from tests.sound_path import PACKET_S, SlowSeat, SoundCall
from tests.virtual_time import FakeClock

PICTURE_S = 0.04


@dataclass(kw_only=True)
class Pictures:
    """A camera of 25 pictures a second through the whole video path, unconverted, and when which picture left."""

    clock: FakeClock
    sync: SyncRule
    hold_s: Callable[[], float] = lambda: 0.0
    late_s: Callable[[int], float] = lambda _: 0.0
    sent: list[tuple[float, SafePicture]] = field(default_factory=list)

    def __post_init__(self) -> None:
        gate = PictureGate(policy="card", clock=self.clock, on_kind=lambda _: None)
        gate.passthrough = True
        self.path = VideoPath(
            seat=cast(Any, None),
            gate=gate,
            sync=self.sync,
            clock=self.clock,
            metrics=Metrics(),
            hold_s=self.hold_s,
        )

    async def run(self, count: int) -> None:
        """Show `count` pictures, each `late_s` after its capture."""
        tasks = [asyncio.create_task(self.path.run()), asyncio.create_task(self._watch())]
        began_s = self.clock()
        for n in range(count):
            captured_s = began_s + n * PICTURE_S
            await asyncio.sleep(max(0.0, captured_s + self.late_s(n) - self.clock()))
            self.path.push(picture, size_px=(64, 64), capture_s=captured_s, is_cheap=True)
        await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()

    async def _watch(self) -> None:
        while True:
            safe = await self.path.next()
            if safe.kind == "passthrough":
                self.sent.append((self.clock(), safe))

    def delays_ms(self) -> list[float]:
        """How long after its capture each picture left."""
        return [1000 * (at_s - safe.capture_s) for at_s, safe in self.sent]


def _talk(call: SoundCall, pictures: Pictures, seconds: float, late_s: Callable[[int], float] = lambda _: 0.0) -> None:
    """Speak and show at once."""

    async def both() -> None:
        speaking = asyncio.create_task(call._call(seconds, late_s, None, 0.0, False))
        await pictures.run(round(seconds / PICTURE_S))
        await speaking

    virtual_time.run(both(), call.clock)


def _leave_s(call: SoundCall) -> list[float]:
    return [each.at_s for each in call.left]


def test_audio_clock_is_master_timeline() -> None:
    """ "Audio clock is master timeline": pictures wait for the voice of their moment, the voice for no picture."""
    alone = SoundCall(passthrough=False)
    alone.run(6.0)
    call = SoundCall(passthrough=False)
    call.sync = SyncRule()
    call.path._sync = call.sync
    pictures = Pictures(
        clock=call.clock, sync=call.sync, hold_s=lambda: call.path.delay_s, late_s=lambda n: 0.3 if n > 75 else 0.01
    )
    _talk(call, pictures, 6.0)
    voice_ms = [1000 * (each.at_s - each.sound.capture_s) for each in call.left[50:]]

    assert _leave_s(call) == _leave_s(alone)
    assert max(abs(delay_ms - max(voice_ms)) for delay_ms in pictures.delays_ms()[25:70]) <= 1.5


def test_drop_late_video_frames_if_video_timestamp_over_150_ms_behind_audio_head() -> None:
    """ "Drop late video frames if video timestamp >150 ms behind audio head": 151 ms is late, 149 ms is not."""
    rule = SyncRule()
    rule.audio_sent(10.0)

    assert rule.passes(9.9, now_s=10.0)
    assert rule.passes(10.0 - 0.149, now_s=10.1)
    assert not rule.passes(10.0 - 0.151, now_s=10.2)
    assert rule.late == 1


def test_late_pictures_are_dropped_before_encoding_and_one_frame_a_second_stays_alive() -> None:
    """Pictures that come 400 ms after their capture are not handed to the encoder, but for one a second."""
    call = SoundCall()
    pictures = Pictures(clock=call.clock, sync=call.sync, late_s=lambda n: 0.4 if n >= 50 else 0.01)
    _talk(call, pictures, 8.0)
    late = [at_s for at_s, safe in pictures.sent if at_s - safe.capture_s > 0.3 and at_s < 1008.0]

    assert len([at_s for at_s, safe in pictures.sent if at_s - safe.capture_s < 0.3]) == 50
    assert 5 <= len(late) <= 7
    assert all(after - before >= 1.0 for before, after in zip(late, late[1:], strict=False))
    assert call.sync.late >= 120


def test_never_let_audio_lead_video_by_more_than_150_ms_else_request_video_degrade() -> None:
    """ "Never let audio lead video by more than 150 ms (else request video degrade)": at once, then once a second."""
    asked: list[tuple[float, float]] = []
    clock = FakeClock()
    rule = SyncRule(lambda lead_ms: asked.append((clock(), lead_ms)))
    call = SoundCall(clock=clock)
    call.sync = call.path._sync = rule
    pictures = Pictures(clock=clock, sync=rule, late_s=lambda n: 0.3 if n >= 50 else 0.01)
    _talk(call, pictures, 6.0)
    at_s = [each_s - 1000.0 for each_s, _ in asked]

    assert at_s[0] == pytest.approx(50 * PICTURE_S + 0.3, abs=0.05)
    assert 3 <= len(asked) <= 5
    assert all(after - before >= 1.0 for before, after in zip(at_s, at_s[1:], strict=False))
    assert all(lead_ms > 150 for _, lead_ms in asked)
    assert all(rule.skew_ms(safe.capture_s) < 0 for _, safe in pictures.sent)


def test_nothing_is_asked_for_while_the_lead_is_150_ms_or_less() -> None:
    """Pictures 140 ms behind the audio head are sent, and no degrade is requested."""
    asked: list[float] = []
    rule = SyncRule(asked.append)
    rule.audio_sent(10.0)

    assert all(rule.passes(10.0 - 0.149, now_s=10.0 + n) for n in range(20))
    assert asked == []


def test_sustained_drift_over_120_frames_is_realigned_by_soft_skip_of_video_not_audio_stretch() -> None:
    """ "If sustained drift (>120 frames) re-align by soft skip (video) not audio stretch".

    Pictures are held 130 ms too long. After 120 of them the newest is sent and what was queued before it dropped; from
    there on they are in time. Every sample of the voice leaves when it would have left anyhow.
    """
    alone = SoundCall()
    alone.run(10.0)
    call = SoundCall()
    pictures = Pictures(clock=call.clock, sync=call.sync, hold_s=lambda: 0.155, late_s=lambda _: 0.005)
    _talk(call, pictures, 10.0)
    delays_ms = pictures.delays_ms()

    assert min(delays_ms[:120]) > 150
    assert max(delays_ms[122:]) < 60
    assert 2 <= pictures.path.dropped <= 5
    assert _leave_s(call) == _leave_s(alone)


def test_drift_of_120_frames_or_less_is_let_be() -> None:
    """120 pictures off and one in time: nothing is skipped; 121 in a row are drift, by how much is said."""
    rule = SyncRule()
    rule.audio_sent(10.0)
    off = [rule.drift_s(9.9) for _ in range(120)]

    assert set(off) == {0.0}
    assert rule.drift_s(10.0) == 0.0
    assert [rule.drift_s(9.9) for _ in range(121)][-1] == pytest.approx(-0.1)


def test_pictures_that_run_ahead_for_long_wait_for_their_voice_again() -> None:
    """What was skipped in a slow stretch is taken back when the pictures lead the voice afterwards."""
    call = SoundCall(passthrough=False, seat=SlowSeat(hop_ms=80))
    pictures = Pictures(clock=call.clock, sync=call.sync, hold_s=lambda: call.path.delay_s)
    pictures.path._early_s = 0.2
    _talk(call, pictures, 8.0)
    delays_ms = pictures.delays_ms()

    assert max(delays_ms[:100]) < 10
    assert min(delays_ms[125:]) > 80


def test_a_video_only_call_drops_nothing() -> None:
    """Without an audio head no picture is late, none is held, and nothing is asked for."""
    clock = FakeClock()
    asked: list[float] = []
    pictures = Pictures(clock=clock, sync=SyncRule(asked.append), late_s=lambda _: 0.5)
    virtual_time.run(pictures.run(100), clock)

    assert len(pictures.sent) == 100
    assert max(pictures.delays_ms()) < 501
    assert asked == []


def test_an_audio_only_call_leaves_in_its_rhythm() -> None:
    """Without a picture nothing waits and nothing is asked for."""
    asked: list[float] = []
    call = SoundCall()
    call.sync = call.path._sync = SyncRule(asked.append)
    left = call.run(4.0)

    assert len(left) == 4.0 / PACKET_S
    assert asked == []


def test_how_long_a_picture_has_until_it_is_dropped() -> None:
    """150 ms behind the audio head; any time without sound, or when nothing was shown for a second."""
    rule = SyncRule()
    assert rule.left_s(5.0, 9.0) == math.inf
    rule.audio_sent(10.0)
    assert rule.left_s(9.0, 10.0) == math.inf
    assert rule.passes(10.0, 10.0)
    assert [round(rule.left_s(capture_s, 10.5), 6) for capture_s in (10.1, 9.9, 9.85, 9.8)] == [0.25, 0.05, 0.0, -0.05]
    assert not rule.passes(9.849, 10.5)
    assert rule.left_s(9.0, 11.0) == math.inf

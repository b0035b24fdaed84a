"""An imported voice's way through a call, in virtual time: what was said is heard in order, whatever becomes of it.

What is said is a level that never repeats, so that a sample tells when it was said, and, by its factor, whose it is.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from mirage_rtc.gate import SafeSound
from mirage_rtc.voice_seat import FellBack, VoiceSeat
from models.engines import Samples, VoiceSettings
from models.imported_voices import DELAY_MS
from models.voice_change import FADE_MS
from tests import virtual_time
from tests.lane_here import Cost, LaneHere
from tests.scripted_voices import EMBEDDED_DELAY_MS
from tests.seated import EIGHTH, ROBOT
from tests.sound_path import PACKET, PACKET_S, SoundCall
from tests.virtual_time import FakeClock

TENTH = VoiceSettings(preset="rvc:tenth")
RAISES = VoiceSettings(preset="rvc:raises")
SECONDS = 12.0
SAID = np.linspace(0.2, 0.8, round(SECONDS * 48_000), dtype=np.float64)
Positions = NDArray[np.float64]
Scene = Callable[["Spoken"], None]


class Spoken:
    """A call that speaks `SAID` from its start, and what it sent."""

    def __init__(
        self, settings: VoiceSettings, cost_ms: Cost = lambda engine, hop_ms: 8.0, beside: "Spoken | None" = None
    ) -> None:
        """`beside` another call, in the lane of that one."""
        self.lane: LaneHere = LaneHere(cost_ms) if beside is None else beside.lane
        self.fell: list[FellBack] = []
        self.seat = VoiceSeat(
            cast(Any, self.lane),
            call_id="one" if beside is None else "two",
            sample_rate_hz=48_000,
            hop_ms=40,
            settings=settings,
            fallback=ROBOT,
            on_fallback=self.fell.append,
        )
        clock = FakeClock() if beside is None else beside.call.clock
        self.call: SoundCall = SoundCall(passthrough=False, seat=cast(Any, self.seat), clock=clock)
        self.hops_ms: list[int] = []

    def play(self, seconds: float = SECONDS, **scenes: Scene) -> "Spoken":
        """Speak; `at_3` and so on are done when so many seconds were spoken."""
        virtual_time.run(self._play(seconds, {int(at[3:]): scene for at, scene in scenes.items()}), self.call.clock)
        return self

    async def _play(self, seconds: float, scenes: dict[int, Scene]) -> None:
        path, clock = self.call.path, self.call.clock
        tasks = [asyncio.create_task(path.run()), asyncio.create_task(self.call._listen())]
        self.began_s = clock()
        for n in range(round(seconds / PACKET_S)):
            await asyncio.sleep(max(0.0, self.began_s + (n + 1) * PACKET_S - clock()))
            if n % 50 == 0 and n // 50 in scenes:
                scenes[n // 50](self)
            said = SAID[n * PACKET : (n + 1) * PACKET].astype(np.float32)
            path.push(said, capture_s=self.began_s + n * PACKET_S, position=n * PACKET)
            self.hops_ms.append(self.seat.hop_ms)
        await asyncio.sleep(0.3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def heard(self, begin_s: float = 0.0, end_s: float = SECONDS + 1) -> Samples:
        """What left between these times of the call, in a row."""
        left = [each for each in self.call.left if begin_s <= each.at_s - self.began_s < end_s]
        return np.concatenate([each.sound.samples for each in left])

    def said_at(self, factor: float, begin_s: float, end_s: float) -> Positions:
        """Which samples of `SAID` this voice speaks in what left between these times of the call."""
        positions: Positions = (self.heard(begin_s, end_s) / np.float64(factor) - SAID[0]) / (SAID[1] - SAID[0])
        return positions


def in_order(positions: Positions) -> bool:
    """Each sample once, none left out."""
    return bool(np.abs(np.diff(positions) - 1).max() < 0.2)


def stamp_errors_ms(spoken: Spoken, factor: float, begin_s: float, end_s: float) -> Positions:
    """How far the capture time on each frame is from when its content was said."""
    errors = []
    for each in spoken.call.left:
        if begin_s <= each.at_s - spoken.began_s < end_s:
            errors.append(1000 * (_content_s(each.sound, factor) + spoken.began_s - each.sound.capture_s))
    return np.array(errors)


def _content_s(sound: SafeSound, factor: float) -> float:
    return float((sound.samples[0] / factor - SAID[0]) / (SAID[1] - SAID[0]) / 48_000)


def wear(settings: VoiceSettings) -> Scene:
    """Choose this voice."""
    return lambda spoken: spoken.seat.set_voice(settings)


def test_a_change_of_voice_loses_nothing_but_the_delay_it_grows_by() -> None:
    """Embedded to imported at 3 s: in order before and after, a fade of 10 ms, no jump, stamps that are true."""
    spoken = Spoken(VoiceSettings()).play(at_3=wear(EIGHTH))
    before, after = spoken.said_at(0.5, 1, 3), spoken.said_at(0.125, 4, 11)
    assert in_order(before)
    assert in_order(after)
    assert spoken.seat.delay_ms == DELAY_MS
    quiet = spoken.heard(0.5, 12)
    assert np.abs(np.diff(quiet)).max() < 1.6 * 0.5 / (48 * FADE_MS)
    assert quiet.min() > 0.12 * SAID[0]
    assert np.abs(stamp_errors_ms(spoken, 0.5, 1, 3)).max() < 0.1
    assert np.abs(stamp_errors_ms(spoken, 0.125, 4, 11)).max() < 1.0  # the delay line is of whole ms


def test_later_changes_keep_the_delay_so_that_nothing_is_lost_at_all() -> None:
    """Imported, another imported, embedded, imported: every sample that is said is heard once, over three fades."""
    spoken = Spoken(EIGHTH).play(at_3=wear(TENTH), at_6=wear(ROBOT), at_9=wear(EIGHTH))
    for factor, begin_s, end_s in ((0.125, 1, 3), (0.1, 4, 6), (0.25, 7, 9), (0.125, 10, 12)):
        assert in_order(spoken.said_at(factor, begin_s, end_s)), begin_s
    waits = [1000 * (spoken.said_at(f, b, b + 0.1)[0] / 48_000 - b) for f, b in ((0.125, 2), (0.1, 5), (0.25, 8))]
    assert np.ptp(waits) < 45  # the hop in which each frame lies, no more
    assert spoken.seat.delay_ms == DELAY_MS


def test_growing_and_shrinking_neither_loses_nor_repeats_a_sample() -> None:
    """33 ms for 40 ms grows to 60 ms; 5 ms shrinks it again: one unbroken line of samples over both moves."""

    def hasten(spoken: Spoken) -> None:
        spoken.lane.cost_ms = lambda engine, hop_ms: 5.0

    spoken = Spoken(EIGHTH, lambda engine, hop_ms: 33.0).play(at_4=hasten)
    assert sorted(set(spoken.hops_ms)) == [40, 60]
    assert spoken.hops_ms[0] == spoken.hops_ms[-1] == 40
    assert in_order(spoken.said_at(0.125, 0.5, 12))
    assert spoken.fell == []


def test_a_voice_that_fails_is_silent_until_the_embedded_one_is_open_and_does_not_click() -> None:
    """0.9 of every hop, however long: the embedded voice goes on, as late as before; raw is heard nowhere."""
    spoken = Spoken(EIGHTH, lambda engine, hop_ms: 0.9 * hop_ms if engine == "rvc" else 8.0).play()
    assert [fell.reason for fell in spoken.fell] == ["slow"]
    assert in_order(spoken.said_at(0.25, 6, 12))
    assert spoken.heard().max() <= 0.25 * SAID[-1] + 1e-6
    assert np.abs(np.diff(spoken.heard(0.5, 12))).max() < 0.25 / (48 * 5) * 1.5
    assert spoken.call.path.hops_silent <= 4
    assert spoken.seat.delay_ms == DELAY_MS


def test_a_voice_that_raises_costs_one_hop() -> None:
    """Silence of its length, and the embedded voice behind it."""
    spoken = Spoken(VoiceSettings()).play(at_3=wear(RAISES))
    assert [fell.code for fell in spoken.fell] == ["voice_raised"]
    assert in_order(spoken.said_at(0.25, 5, 12))
    assert spoken.heard().max() <= 0.5 * SAID[-1]
    assert np.abs(np.diff(spoken.heard(0.5, 12))).max() < 0.5 / (48 * 5) * 1.5
    assert spoken.call.path.hops_silent <= 2


def test_nothing_that_waits_counts_as_the_voice_s_fault_after_a_stall_of_the_network() -> None:
    """A second that comes at once is left out in part; the voice goes on."""
    spoken = Spoken(EIGHTH)

    def stall(spoken: Spoken) -> None:
        now_s = spoken.call.clock()
        spoken.call.path.push(np.full(48_000, 0.3, np.float32), capture_s=now_s - 1.0)

    spoken.play(at_5=stall)
    assert spoken.fell == []
    assert spoken.call.path.hops_silent > 5
    assert spoken.seat.engine == "rvc"


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.4, 0.5, 0.7])
def test_no_hop_of_any_call_is_silent_while_a_slow_voice_is_warmed(ratio: float) -> None:
    """Two calls in one lane, one of which changes to a voice of this ratio: every sample that is said is heard."""
    one = Spoken(VoiceSettings(), lambda engine, hop_ms: ratio * hop_ms if engine == "rvc" else 8.0)
    two = Spoken(VoiceSettings(), beside=one)

    async def both() -> None:
        await asyncio.gather(one._play(7.0, {3: wear(EIGHTH)}), two._play(7.0, {}))

    virtual_time.run(both(), one.call.clock)
    assert one.call.path.hops_silent == two.call.path.hops_silent == 0
    assert in_order(two.said_at(0.5, 1, 7))
    assert in_order(one.said_at(0.5, 1, 3))
    assert in_order(one.said_at(0.125, 5.2, 7))
    assert one.seat.engine == "rvc"


def test_the_embedded_voice_starts_at_its_own_delay() -> None:
    """A call that never uses an imported voice is as prompt as ever, at one hop however slow the machine is."""
    spoken = Spoken(VoiceSettings(), lambda engine, hop_ms: 37.0).play(6.0)
    assert spoken.seat.delay_ms == EMBEDDED_DELAY_MS
    assert set(spoken.hops_ms) == {40}
    assert spoken.fell == []

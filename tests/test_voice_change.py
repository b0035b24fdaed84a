"""One call's voice from engine to engine: as many samples out as in, one delay, nothing heard at the change."""

from collections.abc import Sequence

import numpy as np
import pytest

from models.engines import Samples, VoiceSettings
from models.imported_voices import DELAY_MS
from models.voice_change import FADE_MS, CallVoice, DelayLine, Warming, longest_hop_ms
from models.voice_graph import HOPS_MS
from models.voice_rack import VoiceRack
from models.world_voice_engine import WorldVoiceEngine
from tests import speech
from tests.imported_lane import StandInImports
from tests.scripted_voices import EMBEDDED_DELAY_MS, FACTORS, EmbeddedVoices, ScriptedImports, rack

DISGUISE = VoiceSettings()
ROBOT = VoiceSettings(preset="robot")
EIGHTH = VoiceSettings(preset="rvc:eighth")
TENTH = VoiceSettings(preset="rvc:tenth")
RATES_HZ = (16_000, 48_000)
FADE = 48 * FADE_MS
SPEECH = speech.speech(3.0, 48_000)


class Call:
    """A voice that is fed a signal hop by hop, and what came out of it."""

    def __init__(self, settings: VoiceSettings = DISGUISE, rate_hz: int = 48_000, delay_ms: float = 0.0) -> None:
        self.voice = CallVoice(rack(), sample_rate_hz=rate_hz, hop_ms=40, settings=settings, delay_ms=delay_ms)
        self.rate_hz = rate_hz
        self.said = np.zeros(0, np.float32)
        self.heard = np.zeros(0, np.float32)

    def say(self, sound: Samples, hops_ms: Sequence[int] = (40,), wants: VoiceSettings | None = None) -> int:
        """In hops of these lengths, over and over; with `wants`, a step towards that voice after each. Steps taken."""
        at, steps = 0, 0
        while at + (count := hops_ms[steps % len(hops_ms)] * self.rate_hz // 1000) <= len(sound):
            self._hop(sound[at : at + count])
            at, steps = at + count, steps + 1
            if wants is not None and self.voice.settings is not wants:
                self.voice.prepare(wants)
        return steps

    def _hop(self, hop: Samples) -> None:
        self.said = np.concatenate([self.said, hop])
        self.heard = np.concatenate([self.heard, self.voice.convert(hop)])

    def factors(self) -> Samples:
        """What each sample heard is of what was said `delay_ms` before, where that is not silence."""
        delay = round(self.voice.delay_ms * self.rate_hz / 1000)
        return self.heard[delay:] / self.said[: len(self.said) - delay]


def steady(seconds: float, rate_hz: int = 48_000) -> Samples:
    """A level that never repeats and never jumps: it tells one moment from another."""
    return np.linspace(0.2, 0.8, round(seconds * rate_hz), dtype=np.float32)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("wants", [EIGHTH, TENTH], ids=lambda each: each.preset)
def test_an_imported_voice_takes_over_at_a_hop_boundary_and_the_delay_grows_once(
    rate_hz: int, wants: VoiceSettings
) -> None:
    """Embedded at its own delay, then imported at the common one; every sample said is heard, from then on exactly."""
    call = Call(rate_hz=rate_hz)
    assert call.voice.delay_ms == EMBEDDED_DELAY_MS
    call.say(steady(3.0, rate_hz), wants=wants)
    assert call.voice.settings is wants
    assert call.voice.switches == 1
    assert call.voice.delay_ms == DELAY_MS
    assert len(call.heard) == len(call.said)
    assert np.allclose(call.factors()[-rate_hz:], FACTORS[wants.preset[4:]], rtol=1e-3)


def test_the_new_voice_has_heard_the_last_second_when_it_begins() -> None:
    """Not a sample of it is silent after the change, though its delay is the longer one."""
    call = Call()
    call.say(steady(1.0))
    call.say(steady(2.0)[::-1], wants=EIGHTH)
    assert call.voice.settings is EIGHTH
    assert call.heard[round(EMBEDDED_DELAY_MS * 48) :].min() > 0.2 * 0.12


@pytest.mark.parametrize("wants", [EIGHTH, TENTH, DISGUISE, ROBOT], ids=lambda each: each.preset)
@pytest.mark.parametrize("begins", [EIGHTH, TENTH, DISGUISE, ROBOT], ids=lambda each: each.preset)
def test_no_change_of_voice_jumps(begins: VoiceSettings, wants: VoiceSettings) -> None:
    """No step between two samples is larger than a fade of 10 ms makes it, however the voices differ."""
    call = Call(begins)
    call.say(steady(1.2))
    if {begins.preset, wants.preset} <= {"disguise", "robot"}:
        call.voice.set_voice(wants)  # the embedded engine glides, the scripted one does not
        return
    call.say(steady(2.0)[::-1], wants=wants)
    assert call.voice.settings.preset == wants.preset
    heard = call.heard[round(DELAY_MS * 48) :]
    assert np.abs(np.diff(heard)).max() < 1.6 * 0.5 / FADE


@pytest.mark.parametrize(("begins", "wants"), [(DISGUISE, EIGHTH), (EIGHTH, DISGUISE)], ids=["to", "from"])
def test_the_real_engines_change_without_a_click_in_speech(begins: VoiceSettings, wants: VoiceSettings) -> None:
    """WORLD and an imported voice's stream: nowhere in the second of the change is the sound rougher than elsewhere."""
    imports = StandInImports()
    imports.load("eighth")
    both = VoiceRack(WorldVoiceEngine(), imports)
    voice = CallVoice(both, sample_rate_hz=48_000, hop_ms=40, settings=begins)
    heard, changed = [], 0
    for number, first in enumerate(range(0, 48 * 2800, 1920)):
        heard.append(voice.convert(SPEECH[first : first + 1920]))
        if number >= 35 and voice.switches == 0:
            voice.prepare(wants)
            changed = first + 1920
    rough = np.abs(np.diff(np.concatenate(heard).astype(np.float64), 2))
    near = slice(changed - 2400, changed + 4800)
    assert voice.switches == 1
    assert rough[near].max() <= 1.2 * max(rough[9600 : changed - 2400].max(), rough[changed + 4800 :].max())


def test_the_delay_stays_over_every_later_change() -> None:
    """Embedded, imported, embedded, another imported: what is heard was said 63 ms before, from the first change on."""
    call = Call()
    call.say(steady(2.0), wants=EIGHTH)
    for wants, factor in ((ROBOT, 0.25), (TENTH, 0.1), (DISGUISE, 0.5), (EIGHTH, 0.125)):
        call.say(steady(1.6), wants=wants)
        assert call.voice.delay_ms == DELAY_MS
        assert np.allclose(call.factors()[-4800:], factor, rtol=1e-3), wants.preset
    assert call.voice.switches == 5


def test_a_fresh_stream_keeps_the_delay_that_the_call_has_grown_to() -> None:
    """After a worker was lost the embedded voice is as late as the call was."""
    call = Call(delay_ms=DELAY_MS)
    assert call.voice.delay_ms == DELAY_MS
    call.say(steady(1.0))
    assert np.allclose(call.factors()[-4800:], 0.5, rtol=1e-3)


@pytest.mark.parametrize("hops_ms", [(40,), (60,), (200, 60)])
def test_a_voice_that_begins_again_has_heard_what_its_delay_holds_back(hops_ms: tuple[int, ...]) -> None:
    """In the place of one that is of no use: from its first sample on it says what was said a delay before."""
    call = Call(EIGHTH)
    call.say(steady(1.3), hops_ms)
    call.voice.begin_again(ROBOT)
    begun = len(call.heard)
    call.say(steady(1.0))
    assert call.voice.delay_ms == DELAY_MS
    assert np.allclose(call.factors()[begun - round(48 * DELAY_MS) :], 0.25, rtol=1e-3)


@pytest.mark.parametrize("hops_ms", [(60,), (200,), (40, 100, 60), (120, 160), (60, 80)])
def test_an_imported_voice_may_be_left_from_any_rung(hops_ms: tuple[int, ...]) -> None:
    """The embedded one begins with the first hop of its own length, having caught up by whole hops of its own."""
    call = Call(EIGHTH)
    call.say(steady(2.4), hops_ms)
    call.voice.prepare(ROBOT)
    call.say(steady(1.0), hops_ms)
    call.say(steady(1.0), wants=ROBOT)
    assert call.voice.settings is ROBOT
    assert np.allclose(call.factors()[-4800:], 0.25, rtol=1e-3)


@pytest.mark.parametrize("hop_ms", HOPS_MS)
def test_another_imported_voice_catches_up_at_every_rung(hop_ms: int) -> None:
    """Within a second and a half, the hops of the old one going on."""
    call = Call(EIGHTH)
    call.say(steady(2.0), (hop_ms,))
    call.say(steady(1.6), (hop_ms,), wants=TENTH)
    assert call.voice.settings is TENTH


def test_controls_that_move_meanwhile_are_heard_from_the_change_on() -> None:
    """The voice that is being prepared takes them."""
    call = Call()
    call.say(steady(1.0))
    call.voice.prepare(EIGHTH)
    moved = VoiceSettings(preset="rvc:eighth", pitch_semitones=12.0)
    call.say(steady(2.0), wants=moved)
    assert np.allclose(call.factors()[-4800:], 0.0625, rtol=1e-3)


def test_going_back_before_the_change_forgets_it() -> None:
    """The old voice was never left."""
    call = Call()
    call.say(steady(1.0))
    call.voice.prepare(EIGHTH)
    call.voice.set_voice(ROBOT)
    call.say(steady(1.0))
    assert call.voice.switches == 0
    assert call.voice.delay_ms == EMBEDDED_DELAY_MS


def test_another_voice_is_not_set_but_prepared() -> None:
    """A stream stays its voice."""
    with pytest.raises(ValueError, match="prepared"):
        Call().voice.set_voice(EIGHTH)


def test_a_step_of_catching_up_is_small() -> None:
    """120 ms of an embedded voice at a time: three hops, and no call of the lane waits for more."""
    call = Call(EIGHTH)
    call.say(steady(1.0))
    call.voice.prepare(ROBOT)
    part = call.voice._next
    assert part is not None
    assert getattr(part.stream, "hops", None) == [1920] * 3


def test_an_imported_voice_catches_up_in_long_hops() -> None:
    """Their cost hardly grows with their length."""
    imports = ScriptedImports()
    both = VoiceRack(EmbeddedVoices(), imports)
    one = CallVoice(both, sample_rate_hz=48_000, hop_ms=40, settings=DISGUISE)
    for _ in range(25):
        one.convert(np.zeros(1920, np.float32))
    while not one.prepare(EIGHTH):
        pass
    assert imports.opened[0].hops == [9600] * 5


@pytest.mark.parametrize("left_ms", [40, 60, 80, 100, 120, 140, 160, 180, 200, 220, 240, 260, 420, 1000])
def test_what_is_left_can_always_be_made_up(left_ms: int) -> None:
    """Never 20 ms, which are no hop."""
    while left_ms:
        left_ms -= longest_hop_ms(HOPS_MS, left_ms)
        assert left_ms == 0 or left_ms >= 40


def test_a_voice_that_follows_begins_afresh_where_it_may_and_is_ready_when_it_has_heard_enough() -> None:
    """A hop behind every hop, four in a row; it is not begun again meanwhile."""
    call = Call()
    call.say(steady(1.0))
    step = Warming(most_ms=40, past_ms=40, least_ms=160)
    ready = []
    for _ in range(4):
        ready.append(call.voice.prepare(EIGHTH, step))
        assert call.voice.fed_ms == 40
        call.say(steady(0.04))
    assert ready == [False, False, False, True]
    assert call.voice.settings is EIGHTH


def test_a_step_feeds_no_more_than_it_may() -> None:
    """Not even where a longer hop would bring it further; nothing where no hop is short enough."""
    call = Call()
    call.say(steady(1.0))
    for most_ms, fed_ms in ((40, 40), (70, 60), (39, 0), (130, 120)):
        assert not call.voice.prepare(EIGHTH, Warming(most_ms=most_ms))
        assert call.voice.fed_ms == fed_ms


def test_a_delay_line_holds_back_by_so_many_samples() -> None:
    """In blocks of any size; a line of none changes nothing."""
    line = DelayLine(3)
    sound = np.arange(1, 9, dtype=np.float32)
    out = np.concatenate([line.delayed(sound[:2]), line.delayed(sound[2:])])
    assert out.tolist() == [0, 0, 0, 1, 2, 3, 4, 5]
    assert DelayLine(-1).delayed(sound).tolist() == sound.tolist()

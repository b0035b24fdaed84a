"""Voices in long calls: as many samples out as in, nothing that grows, one delay, no jump where something changes."""

import pickle
from itertools import cycle

import numpy as np
import pytest

from models.engines import Samples, VoiceEngine, VoiceSettings, VoiceStream
from models.psola_voice_engine import PsolaVoiceEngine
from models.rvc_voice_engine import RvcVoiceStream
from models.voice_change import CallVoice
from models.voice_graph import HOPS_MS
from models.voice_rack import VoiceRack
from models.world_voice_engine import WorldVoiceEngine
from tests import speech, voice_stand_ins
from tests.seam_measures import RATE_HZ, OneVoice
from tests.sound_path import PACKET, SlowSeat, SoundCall
from tests.voice_measures import Array

LOWER = VoiceSettings(preset="lower")
ENGINES: dict[str, VoiceEngine] = {
    "world": WorldVoiceEngine(),
    "psola": PsolaVoiceEngine(),
    "rvc": OneVoice(voice_stand_ins.voice()),
}
LINE_S = 4.8
"""What is said over and over, a whole number of hops of every rung."""


def said() -> Samples:
    """Speech, `LINE_S` long."""
    return speech.speech(LINE_S, RATE_HZ)


def envelope(wave: Samples) -> Array:
    """Loudness 1000 times a second, smoothed over 25 ms."""
    loud = np.sqrt(np.square(wave.astype(np.float64)).reshape(-1, RATE_HZ // 1000).mean(axis=1))
    return np.convolve(loud, np.hanning(25) / 12, "same")


def delay_ms(before: Samples, after: Samples) -> int:
    """By how much later the loudness of one follows that of the other, 0 to 150 ms."""
    one, other = envelope(before), envelope(after)
    likeness = [float(np.corrcoef(one[: len(one) - lag], other[lag:])[0, 1]) for lag in range(150)]
    return int(np.argmax(likeness))


@pytest.mark.parametrize(
    ("engine", "lines", "hops_ms"), [("world", 9, (120,)), ("psola", 9, (160,)), ("rvc", 25, HOPS_MS)]
)
def test_a_long_call_ends_as_it_began(engine: str, lines: int, hops_ms: tuple[int, ...]) -> None:
    """40 s (two minutes of the imported voice, all rungs): every sample, the same delay, the same size of state."""
    stream = ENGINES[engine].open(sample_rate_hz=RATE_HZ, hop_ms=hops_ms[0], settings=LOWER)
    sizes: list[int] = []
    line, heard = said(), []
    whole = np.tile(line, lines)
    at, lengths = 0, cycle(hops_ms)
    while at + (count := next(lengths) * RATE_HZ // 1000) <= len(whole):
        heard.append(stream.convert(whole[at : at + count]))
        at += count
        if at // len(line) > len(sizes):
            sizes.append(state_bytes(stream))
    spoken = np.concatenate(heard)
    assert len(spoken) == at > (lines - 1) * len(line)
    first, last = slice(len(line), 2 * len(line)), slice((lines - 2) * len(line), (lines - 1) * len(line))
    delays_ms = [delay_ms(line, spoken[part]) for part in (first, last)]
    assert abs(delays_ms[1] - delays_ms[0]) <= 1
    assert abs(delays_ms[0] - stream.delay_ms) <= 5
    assert max(sizes[2:]) <= sizes[2] + 100


def state_bytes(stream: VoiceStream) -> int:
    """What a stream carries on, without the networks that all share."""
    state = {name: value for name, value in vars(stream).items() if name not in ("_voice", "_ears")}
    return len(pickle.dumps(state))


@pytest.mark.parametrize("engine", ENGINES)
def test_lost_packets_leave_the_delay_as_it_is(engine: str) -> None:
    """Single packets lost for two seconds: what comes after them is heard when it would have been without the loss."""
    calls = [called(engine, lost) for lost in (range(0), range(60, 160, 23))]
    whole, holed = (np.concatenate([each.sound.samples for each in call.left]) for call in calls)
    assert len(whole) == len(holed)
    assert not np.array_equal(whole[57_600:153_600], holed[57_600:153_600])
    after = slice(216_000, len(whole) - 9600)
    assert whole[after].std() > 0.01
    later = slice(after.start + 960, after.stop + 960)  # so that neither can be the later one unseen
    assert delay_ms(whole[later], holed[after]) == 20
    waited_ms = [np.array([1000 * (each.at_s - each.sound.capture_s) for each in call.left]) for call in calls]
    assert abs(np.median(waited_ms[0][-50:]) - np.median(waited_ms[1][-50:])) < 1


def called(engine: str, lost: range) -> SoundCall:
    """6 s of speech through the voice's whole way, without the packets of those numbers."""
    stream = ENGINES[engine].open(sample_rate_hz=RATE_HZ, hop_ms=40, settings=LOWER)
    call = SoundCall(passthrough=False, seat=SlowSeat(voice=stream))
    wave = np.tile(said(), 2)[: 6 * RATE_HZ]
    call.run(6.0, wave=wave, late_s=lambda n: None if n in lost else 0.0)
    return call


class Imports:
    """Imported voices that are there at once."""

    name = "rvc"

    def __init__(self) -> None:
        self._voice = voice_stand_ins.voice()

    def load(self, voice_id: str) -> None:
        """Nothing to load."""

    def is_loaded(self, voice_id: str) -> bool:
        """Always."""
        return True

    def prewarm(self, voice_id: str) -> None:
        """Nothing to warm."""

    def forget(self, voice_id: str) -> None:
        """Nothing to load again."""

    def open(self, *, sample_rate_hz: int, hop_ms: int, settings: VoiceSettings) -> VoiceStream:
        """A fresh stream."""
        return RvcVoiceStream(self._voice, sample_rate_hz=sample_rate_hz, settings=settings)


def held(seconds: float) -> Samples:
    """A voice that holds a note of 120 Hz, without a rough place in it."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return np.asarray(sum(np.sin(2 * np.pi * 120 * k * t + k * k) / k for k in range(1, 30)) * 0.1, np.float32)


def worst_bend(wave: Samples, places: list[int]) -> float:
    """The strongest second difference within 12 ms of the changes over that in the 88 ms beyond, to both sides."""
    bend = np.abs(np.diff(wave.astype(np.float64), 2))
    ratios = []
    for place in places:
        beside = np.concatenate([bend[max(0, place - 4800) : place - 576], bend[place + 576 : place + 4800]])
        ratios.append(bend[place - 576 : place + 576].max() / beside.max())
    return float(max(ratios))


ONSET_BEND = 4
"""How much sharper than a held note its onset may be, where it sets in within 5 ms; a hard switch is 6, a voice that
hears the sound of before it and of after it side by side 21."""
MOST_BEND = 1.6
"""What is left of a change that is faded over; without a fade it is far more."""


def torn(wave: Samples, place: int) -> Samples:
    """The wave with a hard change in it."""
    return np.concatenate([wave[:place], -wave[place:]])


def test_a_change_of_voice_and_of_rung_does_not_jump() -> None:
    """A call that goes from the embedded voice to an imported one, along the ladder and back."""
    voice = CallVoice(VoiceRack(WorldVoiceEngine(), Imports()), sample_rate_hz=RATE_HZ, hop_ms=40, settings=LOWER)
    imported = VoiceSettings(preset="rvc:a")
    heard, changes, at, line = [], [], 0, held(5.0)
    for want, hops_ms in ((LOWER, (40,) * 30), (imported, (40,) * 30), (imported, MIXED_MS), (LOWER, (40,) * 30)):
        for hop_ms in hops_ms:
            if voice.settings.preset != want.preset:
                voice.prepare(want)
            count, switches = hop_ms * RATE_HZ // 1000, voice.switches
            heard.append(voice.convert(line[at : at + count]))
            if voice.switches > switches or hops_ms is MIXED_MS:
                changes.append(at)
            at += count
    spoken = np.concatenate(heard)
    assert (voice.switches, voice.seams) == (2, 0)
    assert len(changes) == 2 + len(MIXED_MS)
    assert worst_bend(spoken, changes) < MOST_BEND
    for change in changes:
        assert worst_bend(torn(spoken, change + 24), [change]) > MOST_BEND


MIXED_MS = (60, 200, 40, 120, 160, 80, 100, 40)


def test_bypass_does_not_jump() -> None:
    """Passthrough on and off in a call of a converted voice: not at the change and not when the voice is heard again.

    What it would still have to say from before the switch is never heard.
    """
    stream = WorldVoiceEngine().open(sample_rate_hz=RATE_HZ, hop_ms=40, settings=LOWER)
    call = SoundCall(passthrough=False, seat=SlowSeat(voice=stream))

    def switching(n: int) -> float:
        if n % 50 == 49:
            call.gate.passthrough = not call.gate.passthrough
            call.path.flush()
        return 0.0

    call.run(4.5, wave=held(4.5), late_s=switching)
    kinds = [each.sound.kind for each in call.left]
    heard = np.concatenate([each.sound.samples for each in call.left])
    changes = [PACKET * (n + 1) for n in range(len(kinds) - 1) if kinds[n] != kinds[n + 1]]
    assert {"passthrough", "live"} <= set(kinds)
    assert len(changes) >= 4
    bends = np.abs(np.diff(heard.astype(np.float64), 2))
    own = bends[: 44 * PACKET].max()  # of the voice, where it began the call and after
    assert bends.max() < ONSET_BEND * own
    again = next(n for n in range(60, len(kinds)) if kinds[n] == "live") * PACKET
    assert np.abs(heard[again : again + round(48 * stream.delay_ms) - 480]).max() < 1e-3
    assert np.abs(np.diff(torn(heard, again + 9600)[again:].astype(np.float64), 2)).max() > ONSET_BEND * own

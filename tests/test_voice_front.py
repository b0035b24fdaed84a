"""The microphone's controls: level, denoiser and gate around an engine, live, at every hop the same."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.engines import VoiceSettings
from models.rvc_voice_engine import RvcVoiceStream
from models.voice_front import VoiceFront, check
from tests import speech, voice_stand_ins

RATE_HZ = 48_000
ALL = VoiceSettings(preset="grace", input_gain_db=6.0, gate_db=-45.0, denoise=True)
Array = NDArray[np.float32]


def spoken(seconds: float = 3.0) -> Array:
    """Speech in noise, half a second of noise first."""
    voice = speech.speech(seconds - 0.5, RATE_HZ)
    voice = np.concatenate([np.zeros(RATE_HZ // 2, np.float32), voice])
    hiss = 0.002 * np.random.default_rng(1).standard_normal(len(voice))
    return np.asarray(0.5 * voice + hiss, np.float32)


def through(sound: Array, settings: VoiceSettings, hops_ms: list[int], rate_hz: int = RATE_HZ) -> Array:
    """Front, an engine that only delays by 60 ms, and the gate; hops of these lengths over and over."""
    front, made, first = VoiceFront(sample_rate_hz=rate_hz, settings=settings), [], 0
    held = np.zeros(60 * rate_hz // 1000, np.float32)
    for number in range(len(sound)):
        count = hops_ms[number % len(hops_ms)] * rate_hz // 1000
        if first + count > len(sound):
            break
        held = np.concatenate([held, front.enter(sound[first : first + count])])
        made.append(front.leave(held[:count], 60.0))
        held = held[count:]
        first += count
    return np.concatenate(made)


def test_a_front_that_is_not_used_is_not_there() -> None:
    """The very samples go in and come out."""
    front, hop = VoiceFront(sample_rate_hz=RATE_HZ, settings=VoiceSettings()), spoken()[:1920]
    assert front.enter(hop) is hop
    assert front.leave(hop, 60.0) is hop


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_the_hop_does_not_matter_with_everything_on(rate_hz: int) -> None:
    """Sample for sample."""
    sound = spoken()[:: RATE_HZ // rate_hz]
    wanted = through(sound, ALL, [40], rate_hz)
    assert wanted.std() > 0.01
    for hops_ms in ([20], [60], [80], [120], [200, 40, 100]):
        found = through(sound, ALL, hops_ms, rate_hz)
        shared = min(len(found), len(wanted))
        assert np.array_equal(found[:shared], wanted[:shared])


def test_the_hop_does_not_matter_with_an_imported_voice_behind_it() -> None:
    """40, 60, 80 and 120 ms, all of the front on: correlation 0.999 and more."""
    made, sound = [], spoken(2.0)
    for hop_ms in (40, 60, 80, 120):
        front = VoiceFront(sample_rate_hz=RATE_HZ, settings=ALL)
        voice = RvcVoiceStream(voice_stand_ins.voice(), sample_rate_hz=RATE_HZ, settings=VoiceSettings(preset="grace"))
        hops = sound[: len(sound) // (hop_ms * 48) * hop_ms * 48].reshape(-1, hop_ms * 48)
        made.append(np.concatenate([front.leave(voice.convert(front.enter(hop)), voice.delay_ms) for hop in hops]))
    assert made[0].std() > 0.01
    for other in made[1:]:
        shared = min(len(other), len(made[0]))
        assert np.corrcoef(made[0][:shared], other[:shared])[0, 1] >= 0.999


def test_the_level_is_turned_without_a_click_and_never_over_full_scale() -> None:
    """From -20 to 20 dB in one hop."""
    tone = (0.3 * np.sin(2 * np.pi * 200 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32)
    front = VoiceFront(sample_rate_hz=RATE_HZ, settings=VoiceSettings(input_gain_db=-20.0))
    made = [front.enter(hop) for hop in tone[: RATE_HZ // 2].reshape(-1, 960)]
    front.set_voice(VoiceSettings(input_gain_db=20.0))
    made += [front.enter(hop) for hop in tone[RATE_HZ // 2 :].reshape(-1, 960)]
    found = np.concatenate(made)
    assert np.abs(found[: RATE_HZ // 2]).max() == pytest.approx(0.03, rel=1e-3)
    assert 0.9 < np.abs(found).max() <= 1
    # A tone of three times full scale rises so fast; a step would be six times that.
    assert np.abs(np.diff(found)).max() < 3 * 2 * np.pi * 200 / RATE_HZ * 1.5


def test_the_gate_is_set_live_and_hears_the_amplified_sound() -> None:
    """Noise of -54 dB is silence at -45 dB, and is not once the microphone is 12 dB louder."""
    noise = (0.002 * np.random.default_rng(2).standard_normal(2 * RATE_HZ)).astype(np.float32)
    quiet = through(noise, VoiceSettings(gate_db=-45.0), [40])
    loud = through(noise, VoiceSettings(gate_db=-45.0, input_gain_db=12.0), [40])
    assert (quiet[RATE_HZ:] == 0).all()
    assert np.abs(loud[RATE_HZ:]).max() > 0.02


def test_what_is_no_number_is_silence() -> None:
    """With everything on, and it goes on being finite."""
    front, broken = VoiceFront(sample_rate_hz=RATE_HZ, settings=ALL), spoken()[:1920].copy()
    broken[3:6] = np.nan, np.inf, -np.inf
    for _ in range(40):
        made = front.enter(broken)
        assert np.isfinite(made).all()
        assert np.isfinite(front.leave(made, 60.0)).all()


def test_a_hop_off_the_grid_is_refused() -> None:
    """It would move every frame after it."""
    front = VoiceFront(sample_rate_hz=RATE_HZ, settings=VoiceSettings())
    with pytest.raises(ValueError, match="10 ms"):
        front.enter(np.zeros(1000, np.float32))


@pytest.mark.parametrize(
    "settings",
    [
        VoiceSettings(input_gain_db=20.5),
        VoiceSettings(input_gain_db=float("nan")),
        VoiceSettings(gate_db=-91.0),
        VoiceSettings(gate_db=-10.0),
        VoiceSettings(gate_db=float("nan")),
    ],
)
def test_controls_out_of_range_are_refused(settings: VoiceSettings) -> None:
    """With a sentence; those at the ends are not."""
    with pytest.raises(ValueError, match=r"between .*\.$"):
        check(settings)
    check(VoiceSettings(input_gain_db=-20.0, gate_db=-90.0))
    check(VoiceSettings(input_gain_db=20.0, gate_db=-20.0))
    check(VoiceSettings())

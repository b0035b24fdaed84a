"""A microphone whose clock is off: measured, corrected, and nothing grows. In virtual time."""

import numpy as np
import pytest

from mirage_rtc.drift import DEAD_BAND, DRIFT_MAX, RAMP_PER_S, DriftCorrector, DriftMeter
from models.engines import Samples
from tests.sound_path import PACKET, PACKET_S, SoundCall

RATE_HZ = 48_000


def _measured(
    drift: float, seconds: float, *, jitter_s: float = 0.0, jump: tuple[float, float] = (0.0, 0.0)
) -> DriftMeter:
    """A meter after some seconds of packets; at `jump[0]` the path grows longer by `jump[1]`."""
    meter, late = DriftMeter(), np.random.default_rng(2)
    for n in range(1, round(seconds / PACKET_S)):
        sent_s = n * PACKET_S / (1 + drift)
        path_s = 0.02 + (jump[1] if jump[0] and sent_s > jump[0] else 0.0)
        meter.note(n * PACKET_S, 500.0 + sent_s + path_s + late.uniform(0, jitter_s))
    return meter


@pytest.mark.parametrize("ppm", [0, 15, -50, 200, -200, 1000])
def test_the_drift_is_measured(ppm: float) -> None:
    """Within 2 ppm over a quiet minute, within 15 ppm when packets come up to 10 ms late."""
    assert _measured(ppm * 1e-6, 60.0).drift == pytest.approx(ppm * 1e-6, abs=2e-6)
    assert (_measured(ppm * 1e-6, 60.0, jitter_s=0.01).drift or 0.0) == pytest.approx(ppm * 1e-6, abs=15e-6)


def test_nothing_is_said_of_less_than_ten_seconds() -> None:
    """A slope over a moment is jitter, not drift."""
    assert _measured(200e-6, 9.0).drift is None


def test_a_path_that_grows_longer_is_not_taken_for_a_slow_clock() -> None:
    """A step of 30 ms in the middle of a minute: measured anew from there on."""
    meter = _measured(50e-6, 60.0, jump=(30.0, 0.03))

    assert meter.drift == pytest.approx(50e-6, abs=5e-6)


def _corrected(wave: Samples, drift: float) -> tuple[Samples, list[float], list[float]]:
    """A sine of a microphone that is off, led over to our clock; corrections and capture times on the way."""
    corrector, heard, corrections, captured_s = DriftCorrector(RATE_HZ), [], [], []
    for n in range(len(wave) // PACKET):
        end_s = (n + 1) * PACKET_S / (1 + drift)
        samples, capture_s = corrector.take(
            wave[n * PACKET : (n + 1) * PACKET],
            capture_s=n * PACKET_S / (1 + drift),
            media_s=(n + 1) * PACKET_S,
            arrival_s=end_s,
        )
        heard.append(samples)
        corrections.append(corrector.correction)
        captured_s.append(capture_s)
    return np.concatenate(heard), corrections, captured_s


def _tone(seconds: float, tone_hz: float) -> Samples:
    return np.asarray(0.5 * np.sin(2 * np.pi * tone_hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ), np.float32)


@pytest.mark.parametrize("ppm", [200, -200])
def test_a_corrected_tone_has_the_pitch_it_had_in_the_room_and_its_signal_to_noise_ratio(ppm: float) -> None:
    """1 kHz in the room is 1 kHz of our clock once it is measured, 60 dB above everything else."""
    drift = ppm * 1e-6
    heard, corrections, _ = _corrected(_tone(40.0, 1000.0 / (1 + drift)), drift)
    settled = heard[-10 * RATE_HZ :]
    cycles = 2 * np.pi * 1000.0 * (corrections[-1] + 1) / (1 + drift) * np.arange(len(settled)) / RATE_HZ
    shape = np.stack([np.sin(cycles), np.cos(cycles)], axis=1)
    rest = settled - shape @ np.linalg.lstsq(shape, settled, rcond=None)[0]

    assert corrections[-1] == pytest.approx(drift, abs=1e-6)
    assert 10 * np.log10(settled.var() / rest.var()) > 60


def test_the_correction_ramps_and_never_exceeds_half_a_percent() -> None:
    """Even of a clock that is off by 2 % no more than 0.5 % is corrected, and no step in pitch can be heard."""
    _, corrections, _ = _corrected(_tone(80.0, 440.0), 0.007)
    steps = np.abs(np.diff(corrections))

    assert max(corrections) <= DRIFT_MAX
    assert steps.max() <= RAMP_PER_S * PACKET_S * 1.001


def test_a_good_clock_is_left_alone_bit_by_bit() -> None:
    """18 ppm off is within the dead band: what comes out is what came in, 16 samples later."""
    wave = _tone(30.0, 440.0)
    heard, corrections, _ = _corrected(wave, 18e-6)

    assert not any(corrections)
    assert np.array_equal(heard[16:], wave[:-16])


def test_a_clock_that_becomes_good_is_left_alone_again() -> None:
    """After the correction ended the samples are once more what came in, at a whole distance."""
    corrector, wave = DriftCorrector(RATE_HZ), _tone(200.0, 440.0)
    heard, end_s = [], 0.0
    for n in range(len(wave) // PACKET):
        end_s += PACKET_S / (1 + (100e-6 if n < 1500 else 0.0))
        block = wave[n * PACKET : (n + 1) * PACKET]
        heard.append(corrector.take(block, capture_s=0.0, media_s=(n + 1) * PACKET_S, arrival_s=end_s)[0])
    tail = heard[-1]
    at = [shift for shift in range(400) if np.array_equal(wave[len(wave) - PACKET - shift :][:PACKET], tail)]

    assert corrector.correction == 0.0
    assert at


@pytest.mark.parametrize(("ppm", "reports"), [(200, True), (-200, False)])
def test_ten_minutes_with_a_clock_that_is_off_neither_grow_a_queue_nor_starve(ppm: float, reports: bool) -> None:
    """Queue, delay and capture times are in the last minute what they were in the first, under 10 ms of jitter."""
    jitter_s = np.random.default_rng(4).uniform(0, 0.01, 31_000)
    call = SoundCall()
    left = call.run(600.0, late_s=lambda n: float(jitter_s[n]), microphone_ppm=ppm, reports=reports)
    first, last = left[750:3000], left[-3000:]
    errors_ms = np.abs(call.stamp_errors_ms(left[500:]) - np.median(call.stamp_errors_ms(left[500:])))
    corrector = call.path._drift
    assert corrector is not None

    assert corrector.correction == pytest.approx(ppm * 1e-6, abs=10e-6)
    assert abs(np.median(call.delays_ms(last)) - np.median(call.delays_ms(first))) <= 5.0
    assert np.ptp([np.median(call.delays_ms(left[n : n + 500])) for n in range(750, 29_500, 500)]) <= 8.0
    waiting_ms = [np.mean(call.waiting_ms[n : n + 5000]) for n in range(0, 30_000, 5000)]  # a slip takes 5000 packets
    assert np.ptp(waiting_ms) <= 5.0
    assert abs(np.median(call.stamp_errors_ms(left[500:]))) <= 15.0
    assert np.quantile(errors_ms, 0.95) <= 5.0
    assert not [each for each in left if each.sound.kind == "silent"]
    assert len(left) == pytest.approx(600.0 / (1 + ppm * 1e-6) / PACKET_S, abs=3)  # seconds of our clock
    assert DEAD_BAND < abs(corrector.correction) < DRIFT_MAX

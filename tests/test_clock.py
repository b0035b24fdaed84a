"""Capture time, in virtual time."""

import pytest

from mirage_rtc.clock import CaptureClock, TrackStart, Transit


def test_jitter_does_not_move_capture_time() -> None:
    """Frames that arrive up to 40 ms late are still captured a frame interval apart, within the slew."""
    clock = CaptureClock()
    late_s = (0.0, 0.04, 0.01, 0.03, 0.0, 0.02)
    captured = [clock.capture_s(n * 0.05, 100 + n * 0.05 + late) for n, late in enumerate(late_s)]

    steps = [after - before for before, after in zip(captured, captured[1:], strict=False)]

    assert all(abs(step - 0.05) < 0.001 for step in steps)


def test_capture_is_never_after_arrival() -> None:
    """A frame cannot have been captured later than it came."""
    clock = CaptureClock()

    for n in range(200):
        arrival_s = n * 0.0499
        assert clock.capture_s(n * 0.05, arrival_s) <= arrival_s + 1e-9


def test_a_jump_of_the_sender_is_followed() -> None:
    """After a discontinuity over half a second the mapping starts afresh."""
    clock = CaptureClock()
    clock.capture_s(0.0, 10.0)

    assert clock.capture_s(60.0, 10.05) == pytest.approx(10.05)


def test_sender_reports_put_two_tracks_on_one_clock() -> None:
    """Video that began half a second after audio is 0.5 s apart once reported, slewed to, never stepped."""
    client = Transit()
    audio, video = CaptureClock(client), CaptureClock(client)
    for n in range(100):
        audio.capture_s(n * 0.02, 100.06 + n * 0.02, 5000.0 + n * 0.02)
    captured = []
    for n in range(100):
        reported_s = 5000.5 + n * 0.05 if n >= 20 else None
        captured.append(video.capture_s(n * 0.05, 100.64 + n * 0.05, reported_s))
    steps = [after - before for before, after in zip(captured, captured[1:], strict=False)]

    assert captured[-1] == pytest.approx(100.06 + 0.5 + 99 * 0.05, abs=0.025)  # the offset may rise 5 ms a second
    assert all(abs(step - 0.05) < 0.004 for step in steps)


def test_a_track_begins_with_the_first_packet_that_came_in_its_own_time() -> None:
    """Ten come in a heap, then one each 20 ms; where a heap never ends, one second of it is passed over."""
    start, endless = TrackStart(), TrackStart()
    arrivals_s = [10.0 + 0.001 * n for n in range(10)] + [10.02, 10.04]

    assert [start.has_begun(each_s, 0.02) for each_s in arrivals_s] == [False] * 10 + [True] * 2
    assert sum(not endless.has_begun(10.0, 0.02) for _ in range(200)) == 50

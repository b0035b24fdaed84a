"""The marks by which a client measures the whole way to itself."""

import pytest

from mirage_rtc.capture_marks import NTP_UNIX_S, ReportTransit, capture_mark
from mirage_rtc.clock import Transit

CAPTURED_UNIX_S = 1_800_000_000.0
CAPTURED_NTP_S = CAPTURED_UNIX_S + NTP_UNIX_S


def test_a_mark_gives_the_clients_own_capture_time_back() -> None:
    """What was captured at a time on the client's clock is marked with that time, whatever our clock and the way."""
    client = Transit()
    capture_s = client.local_s(CAPTURED_NTP_S, arrival_s=77.125)

    mark = capture_mark((4_294_967_290, capture_s + 0.5), client)

    assert mark is not None
    assert mark.rtp_timestamp == 4_294_967_290
    assert mark.captured_ms == pytest.approx((CAPTURED_UNIX_S + 0.5) * 1000.0, abs=0.01)


def test_there_is_no_mark_before_a_frame_left_or_a_report_came() -> None:
    """Without the client's reports nothing is known of its clock."""
    client = Transit()
    assert capture_mark((1, 5.0), client) is None
    client.local_s(CAPTURED_NTP_S, arrival_s=5.0)
    assert capture_mark(None, client) is None
    assert capture_mark((1, 5.0), client) is not None


def test_the_fastest_of_the_last_eight_reports_tells_how_far_the_clocks_are_apart() -> None:
    """A delayed report does not count, and one of long ago is forgotten."""
    reports = ReportTransit()
    assert reports.ahead_ms is None
    for delay_s in (0.002, 0.010, 0.300):
        reports.note(CAPTURED_NTP_S, CAPTURED_UNIX_S + 40.0 + delay_s)
    assert reports.ahead_ms == pytest.approx(40_002.0, abs=0.1)
    for _ in range(8):
        reports.note(CAPTURED_NTP_S, CAPTURED_UNIX_S + 40.02)
    assert reports.ahead_ms == pytest.approx(40_020.0, abs=0.1)

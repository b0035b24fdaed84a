"""RTP timestamps as pts."""

import inspect

from aiortc import RTCRtpReceiver

from mirage_rtc.aiortc_private.rtp_timeline import RtpTimeline

WRAP = 1 << 32


def test_upstream_still_maps_as_we_do() -> None:
    """`map` takes a frame's timestamp."""
    assert "self.__timestamp_mapper.map(" in inspect.getsource(RTCRtpReceiver)


def test_the_first_frame_is_at_0_and_a_wrap_goes_on() -> None:
    """Frames of 3000 ticks across 2^32."""
    timeline = RtpTimeline()
    assert timeline.at(5) is None

    assert [timeline.map((WRAP - 4500 + 3000 * n) % WRAP) for n in range(4)] == [0, 3000, 6000, 9000]


def test_a_step_back_is_no_wrap() -> None:
    """Upstream would put this frame 26 hours later."""
    timeline = RtpTimeline()

    assert [timeline.map(timestamp) for timestamp in (9000, 6000, 12_000)] == [0, -3000, 3000]


def test_any_timestamp_near_the_last_frame_has_a_pts() -> None:
    """Before and behind, and asking changes nothing."""
    timeline = RtpTimeline()
    timeline.map(WRAP - 100)

    assert (timeline.at(WRAP - 1100), timeline.at(900), timeline.at(WRAP - 100)) == (-1000, 1000, 0)

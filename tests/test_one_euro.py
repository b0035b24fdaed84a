"""The One-Euro filter on synthetic landmarks with a known truth."""

import numpy as np

from models.geometry import Floats
from models.one_euro import OneEuro

HEIGHT_PX = 200.0
FRAME_S = 1 / 30


def cloud() -> Floats:
    """A hundred points of a face 200 pixels high."""
    return (np.random.default_rng(5).random((100, 3)) * HEIGHT_PX).astype(np.float32)


def filtered(series: list[Floats], frame_s: float = FRAME_S) -> list[Floats]:
    """Run a fresh filter over evenly timed frames."""
    euro = OneEuro()
    return [euro.step(points, index * frame_s, HEIGHT_PX) for index, points in enumerate(series)]


def test_noise_on_a_still_face_is_halved() -> None:
    """Frame-to-frame jitter of measured noise falls below half."""
    rng, still = np.random.default_rng(1), cloud()
    series = [still + rng.normal(0, 0.5, still.shape).astype(np.float32) for _ in range(200)]
    out = filtered(series)
    assert np.std(np.diff(out[20:], axis=0)) < 0.5 * np.std(np.diff(series[20:], axis=0))


def test_a_moving_face_is_followed_closely() -> None:
    """At one face height a second the lag stays under one per cent of the face."""
    series = [cloud() + np.array([HEIGHT_PX * index * FRAME_S, 0, 0], np.float32) for index in range(60)]
    lag = np.abs(filtered(series)[-1] - series[-1])[:, 0]
    assert lag.max() < 0.01 * HEIGHT_PX


def test_a_jerk_never_outruns_the_filter_by_more_than_two_per_cent() -> None:
    """From rest to four face heights a second within one frame: a mask that lags would bare the face."""
    series = [cloud() + np.array([max(0, index - 10) * 27.0, 0, 0], np.float32) for index in range(20)]
    for out, points in zip(filtered(series), series, strict=True):
        assert np.hypot(*(out - points)[:, :2].T).max() <= 0.0201 * HEIGHT_PX


def test_the_first_points_and_those_after_a_gap_pass_unchanged() -> None:
    """A pause of the camera, or a clock that went back, starts the filter afresh."""
    euro, points = OneEuro(), cloud()
    for time_s, offset in ((5.0, 0.0), (5.4, 50.0), (2.0, -30.0)):
        np.testing.assert_array_equal(euro.step(points + np.float32(offset), time_s, HEIGHT_PX), points + offset)


def test_the_same_instant_twice_does_not_move_the_points() -> None:
    """Two frames with one timestamp give the same answer, finite."""
    euro, points = OneEuro(), cloud()
    euro.step(points, 1.0, HEIGHT_PX)
    np.testing.assert_array_equal(euro.step(points + 9, 1.0, HEIGHT_PX), points)


def test_it_is_time_that_counts_not_frames() -> None:
    """The same motion sampled at 15 and at 60 frames a second ends within a quarter per cent of the face."""
    ends = []
    for fps in (15, 60):
        swing = [np.sin(index / fps * 6.0) * 20.0 for index in range(2 * fps + 1)]
        ends.append(filtered([cloud() + np.float32(offset) for offset in swing], 1 / fps)[-1])
    assert np.abs(ends[0] - ends[1]).max() < 0.0025 * HEIGHT_PX * 4


def test_what_is_handed_out_is_not_the_filters_own() -> None:
    """A caller that writes into its landmarks must not bend the next ones."""
    euro, points = OneEuro(), cloud()
    euro.step(points, 0.0, HEIGHT_PX)[:] = 0
    out = euro.step(points, FRAME_S, HEIGHT_PX)
    np.testing.assert_allclose(out, points, atol=1e-3)
    assert out.dtype == np.float32

"""Values by absolute frame: written once, kept for the widest window and no longer."""

import numpy as np
import pytest

from models.frame_track import KEPT_FRAMES, Track
from models.voice_graph import FLOWED_FRAMES, LADDER, LOOK_AHEAD_FRAMES, SEEN_FRAMES


def test_an_hour_is_kept_as_a_second_is() -> None:
    """What is kept does not grow, what was forgotten is refused, and so is what is not there yet."""
    track = Track(1)
    for frame in range(0, 360_000, 20):
        track.append(np.arange(frame, frame + 20)[:, None])
    assert list(track.read(359_990, 360_000)[:, 0]) == list(range(359_990, 360_000))
    assert track.read(360_000 - KEPT_FRAMES, 360_000).shape == (KEPT_FRAMES, 1)
    for begin, end in ((0, 10), (359_995, 360_001), (9, 8)):
        with pytest.raises(IndexError):
            track.read(begin, end)


def test_before_the_stream_there_is_silence() -> None:
    """Zeros, also where the whole window lies before it."""
    track = Track(1)
    track.append(np.ones((4, 1)))
    assert list(track.read(-3, 2)[:, 0]) == [0, 0, 0, 1, 1]
    assert list(track.read(-5, -2)[:, 0]) == [0, 0, 0]


def test_what_is_kept_holds_the_widest_window() -> None:
    """Of the longest hop."""
    rung = LADDER[-1]
    assert SEEN_FRAMES + rung.hop + LOOK_AHEAD_FRAMES <= KEPT_FRAMES
    assert rung.decoded <= KEPT_FRAMES
    assert FLOWED_FRAMES < SEEN_FRAMES

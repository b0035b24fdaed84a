"""Joints between hops: no click where a voice stops or begins, and nothing carried over that may not be."""

from typing import Literal

import numpy as np
import pytest

from mirage_rtc.gate import SafeSound
from mirage_rtc.hop_seam import FADE_S, HopSeam

FADE = round(FADE_S * 48_000)
Kind = Literal["live", "silent", "passthrough"]


def hop(kind: Kind, level: float, generation: int = 1) -> SafeSound:
    """40 ms of one level."""
    return SafeSound(samples=np.full(1920, level, np.float32), capture_s=0.0, kind=kind, generation=generation)


def joined(*hops: SafeSound, afresh: int | None = None) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """All of them in a row."""
    seam = HopSeam(48_000)
    return np.concatenate([seam.join(each, afresh=n == afresh).samples for n, each in enumerate(hops)])


def test_a_voice_that_stops_and_begins_again_does_not_click() -> None:
    """5 ms down, 5 ms up; everything else is as it was."""
    heard = joined(hop("live", 0.5), hop("silent", 0.0), hop("live", 0.5))
    assert np.abs(np.diff(heard)).max() <= 0.5 / FADE + 1e-6
    assert not heard[1920 + FADE : 3840].any()
    assert (heard[3840 + FADE :] == 0.5).all()


def test_hops_of_one_kind_are_left_alone() -> None:
    """What an engine made goes out as it was made."""
    heard = joined(hop("live", 0.5), hop("live", -0.5))
    assert (heard[:1920] == 0.5).all()
    assert (heard[1920:] == -0.5).all()


def test_a_voice_that_begins_afresh_behind_another_does_not_click() -> None:
    """The embedded one in the place of an imported one that was given up: the level falls, the new one rises."""
    heard = joined(hop("live", 0.5), hop("live", -0.5), afresh=1)
    assert np.abs(np.diff(heard)).max() <= 1.0 / FADE + 1e-6
    assert (heard[1920 + FADE :] == -0.5).all()


@pytest.mark.parametrize(
    ("former", "latter"),
    [
        (hop("live", 0.5, 1), hop("silent", 0.0, 2)),
        (hop("passthrough", 0.5), hop("silent", 0.0)),
        (hop("passthrough", 0.5), hop("live", 0.1)),
    ],
)
def test_nothing_of_before_a_flush_and_nothing_raw_is_carried_over(former: SafeSound, latter: SafeSound) -> None:
    """Not even its last level."""
    assert (joined(former, latter)[1920:] == latter.samples).all()

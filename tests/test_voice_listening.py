"""What an imported voice hears: each 20 ms in a window of its own, the same at every hop, with sound to follow."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from models.voice_listening import LATE_MS, Heard, Listener
from models.voice_networks import CONTENT_FRAMES, CONTENT_SAMPLES, CONTENT_V2, PITCH, PITCH_FRAMES
from models.voice_pitch import STEP_SAMPLES, RmvpePitch
from tests import speech
from tests.voice_stand_ins import Array, StandIn

WIDTH = 4


def placed(feeds: Mapping[str, Array]) -> Array:
    """Features [n, 50, 4]: how loud the frame is, how loud what follows it is, its place, the window's loudness."""
    waves = feeds[CONTENT_V2.given]
    assert waves.shape[1:] == (CONTENT_SAMPLES,)
    frames = np.lib.stride_tricks.sliding_window_view(waves, 400, axis=1)[:, ::STEP_SAMPLES]
    own = (frames**2).mean(axis=2)
    after = np.concatenate([own[:, 1:], np.zeros((len(own), 1))], axis=1)
    place = np.broadcast_to(np.arange(CONTENT_FRAMES), own.shape)
    whole = np.broadcast_to((waves**2).mean(axis=1)[:, None], own.shape)
    return np.stack([own, after, place, whole], axis=2).astype(np.float32)


def lit(feeds: Mapping[str, Array]) -> Array:
    """Salience [n, 96, 360]: the strongest band lights a bin, as strong as the frame's place in the picture."""
    pictures = feeds[PITCH.given]
    assert pictures.shape[1:] == PITCH.given_shape[1:]
    salience = np.zeros((len(pictures), *PITCH.output_shape[1:]), np.float32)
    place = np.arange(PITCH_FRAMES) / PITCH_FRAMES
    np.put_along_axis(salience, 2 * pictures.argmax(axis=1)[:, :, None], place[None, :, None] + 0.1, axis=2)
    return salience


def listened(sound: NDArray[np.float32], steps: list[int]) -> Heard:
    """All of it, so many steps at a time, over and over."""
    ears, parts, first = Listener(StandIn(placed), RmvpePitch(StandIn(lit))), [], 0
    for number in range(len(sound)):
        count = steps[number % len(steps)] * STEP_SAMPLES
        if first + count > len(sound):
            break
        parts.append(ears.hear(sound[first : first + count]))
        first += count
    return Heard(
        content=np.concatenate([part.content for part in parts]),
        pitch_hz=np.concatenate([part.pitch_hz for part in parts]),
        content_ahead=np.concatenate([part.content_ahead for part in parts]),
        pitch_ahead_hz=np.concatenate([part.pitch_ahead_hz for part in parts]),
    )


@pytest.mark.parametrize("steps", [[2], [3], [10], [2, 5, 8, 4, 6, 3]])
def test_the_hop_decides_nothing(steps: list[int]) -> None:
    """Networks that tell the place in the window and what else is in it hear the same at every hop as at 20 ms."""
    sound = speech.speech(2.4, 16_000)
    one, other = listened(sound, [1]), listened(sound, steps)
    count = len(other.content)
    assert count > 100
    np.testing.assert_array_equal(other.content, one.content[:count])
    np.testing.assert_array_equal(other.content_ahead, one.content_ahead[:count])
    np.testing.assert_array_equal(other.pitch_hz, one.pitch_hz[: 2 * count])
    np.testing.assert_array_equal(other.pitch_ahead_hz, one.pitch_ahead_hz[: 2 * count])
    assert len(np.unique(one.pitch_hz)) > 10


def test_what_is_kept_has_heard_20_ms_of_what_follows_it() -> None:
    """Silence, then a burst: the frame before it is kept knowing of it; it begins `LATE_MS` before the step's end."""
    sound = np.zeros(16_000, np.float32)
    sound[8000:8320] = 0.5
    heard = listened(sound, [2])
    assert (heard.content[:, 2] == CONTENT_FRAMES - 2).all()
    assert (heard.content_ahead[:, 2] == CONTENT_FRAMES - 1).all()
    knowing = int(np.flatnonzero(heard.content[:, 1] > 0)[0])
    begins = (knowing + 1) * STEP_SAMPLES - LATE_MS * 16
    assert begins + STEP_SAMPLES <= 8000 < begins + STEP_SAMPLES + 400
    assert heard.content_ahead[knowing - 1, 1] == 0


def test_pitch_and_content_are_of_the_same_moment() -> None:
    """A tone that leaps: the pitch turns where the frame of content begins that is kept beside it, within 10 ms."""
    time_s = np.arange(32_000) / 16_000
    sound = (0.5 * np.sin(2 * np.pi * np.where(time_s < 1, 300, 1200) * time_s)).astype(np.float32)
    heard = listened(sound, [2])
    turned = int(np.flatnonzero(heard.pitch_hz > 1.5 * heard.pitch_hz[60])[0])
    begins_ms = 20 * (turned // 2 + 1) - LATE_MS + 10 * (turned % 2)
    assert abs(begins_ms - 1000) <= 10

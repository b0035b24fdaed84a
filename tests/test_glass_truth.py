"""The bench's own arithmetic finds delays that were put in."""

import cv2
import numpy as np
import pytest

from models.engines import Frame, Samples
from tests import glass_truth, media
from tests.glass_truth import CELL_SHARE, CELLS, STEP_MS


def _cells(frame: Frame) -> list[float]:
    """As `glass_probe.js` reads them."""
    side = CELL_SHARE * frame.shape[1]
    strip = frame[: round(side), : round(CELLS * side), 1]
    small = cv2.resize(strip, (CELLS * 4, 4), interpolation=cv2.INTER_AREA)
    return [float(small[1:3, 4 * cell + 1 : 4 * cell + 3].mean()) for cell in range(CELLS)]


def test_every_number_is_read_back_after_jpeg_and_scaling() -> None:
    """All pictures of the clip, at 384 pixels and quality 30."""
    clip = glass_truth.numbered(media.talking_head("man_a"))
    for index, frame in enumerate(clip.frames):
        packed = cv2.imencode(".jpg", cv2.resize(frame, (384, 384)), [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
        assert glass_truth.read_number(_cells(np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8))) == index


def test_a_number_in_doubt_is_not_read() -> None:
    """A cell near the middle, and a wrong parity, as in a blend of two pictures."""
    clip = glass_truth.numbered(media.talking_head("man_a"))
    cells = _cells(clip.frames[21])
    assert glass_truth.read_number([*cells[:-1], 130.0]) is None
    assert glass_truth.read_number([*cells[:-1], 255.0 - cells[-1]]) is None


def test_glass_delays_are_those_put_in_over_loops_drops_and_holds() -> None:
    """Two loops of the file; every third picture dropped, every fourth shown twice."""
    clip = glass_truth.numbered(media.talking_head("man_a"))
    cells = [_cells(frame) for frame in clip.frames]
    camera, screen = [], []
    for index in range(2 * len(clip.frames)):
        captured_ms, seen = 40.0 * index, cells[index % len(cells)]
        camera.append((captured_ms, captured_ms + 15, None, seen))
        if index % 3:
            screen.append((None, captured_ms + 180 + index % 5, index, seen))
        if index % 12 == 4:
            screen.append((None, captured_ms + 215, index, seen))

    delays = glass_truth.glass_delays(camera, screen)

    assert len(delays) == 2 * (2 * len(clip.frames)) // 3
    assert (delays[:, 1].min(), delays[:, 1].max()) == (180, 184)


def _rows(samples: Samples, start_ms: float) -> list[list[float]]:
    """Loudness in blocks of 10 ms, as the browser hands them over."""
    steps = np.sqrt((samples[: len(samples) // 480 * 480].reshape(-1, 120) ** 2).mean(axis=1))
    return [[start_ms + 10 * row, *steps[4 * row : 4 * row + 4].tolist()] for row in range(len(steps) // 4)]


def test_voice_delays_are_found_to_the_step_however_loud_and_noisy() -> None:
    """170.5 ms, at a third of the loudness, with noise below."""
    voice = glass_truth.bursts(media.speech("man"), 20)
    noise = np.random.default_rng(3).normal(0, 0.002, len(voice)).astype(np.float32)
    sent, returned = _rows(voice, 5000.0), _rows(np.asarray(voice / 3 + noise, np.float32), 5170.5)

    delays = glass_truth.voice_delays(sent, returned)

    assert len(delays) >= 15
    assert delays[:, 1] == pytest.approx(170.5, abs=STEP_MS)


def test_a_delay_that_changes_in_the_call_is_followed() -> None:
    """120 ms in the first half, 300 in the second."""
    voice = glass_truth.bursts(media.speech("man"), 30)
    half = 15 * 48_000
    pause = np.zeros(round(0.18 * 48_000), np.float32)
    later = np.asarray(np.concatenate([voice[:half], pause, voice[half:]]), np.float32)

    delays = glass_truth.voice_delays(_rows(voice, 0.0), _rows(later, 120.0))

    assert np.median(delays[delays[:, 0] < 14_000, 1]) == pytest.approx(120, abs=STEP_MS)
    assert np.median(delays[delays[:, 0] > 16_000, 1]) == pytest.approx(300, abs=STEP_MS)


def test_what_is_not_like_the_voice_gives_no_delay() -> None:
    """Noise came back."""
    voice = glass_truth.bursts(media.speech("man"), 10)
    noise = np.random.default_rng(4).normal(0, 0.05, len(voice)).astype(np.float32)

    assert len(glass_truth.voice_delays(_rows(voice, 0.0), _rows(noise, 0.0))) == 0
    assert np.isnan(glass_truth.spread(np.zeros((0, 2)))).all()

"""Lip-sync through the real server process, both embedded engines on, measured from the far end; and its instruments.

Few seconds and medians only: the bench (`tests/bench/skew_bench.py`) measures what the product promises, on a machine
that has nothing else to do. Here a fault of the clocks must show: without sender reports a camera that starts 0.5 s
late is half a second off.
"""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from tests.browser import running_server
from tests.peers import only_loopback, signalled_call
from tests.skew_client import Skew, SkewClient
from tests.skew_media import (
    RATE_HZ,
    STEP_S,
    bursts,
    face_pictures,
    lateness_s,
    loudness,
    read_number,
    write_number,
)

SETTLE_S, SECONDS = 4.0, 9.0


@pytest.mark.parametrize("late_s", [0.012, 0.0371, 0.2503])
def test_a_burst_is_found_to_a_few_milliseconds_though_its_wave_is_another(late_s: float) -> None:
    """Noise gated like the burst, a low-passed copy of it, quieter: its lateness is told within 6 ms."""
    said = bursts(10.0)
    start, length = said.starts[1] - 4800, 23_040
    burst = said.sound[start : start + length]
    noise = np.random.default_rng(5).normal(0, 1, length).astype(np.float32)
    gate = np.sqrt(np.convolve(burst**2, np.full(480, 1 / 480), "same"))
    b, a = signal.butter(2, 3000, fs=RATE_HZ)
    heard = np.zeros(length + 28_800, np.float32)
    at = round(late_s * RATE_HZ)
    heard[at : at + length] = signal.lfilter(b, a, 0.3 * noise * gate)

    assert lateness_s(loudness(burst), loudness(heard)) == pytest.approx(late_s, abs=0.006)


def test_silence_holds_no_burst() -> None:
    """Nothing came back: nothing is measured."""
    said = bursts(10.0)
    burst = said.sound[said.starts[0] : said.starts[0] + 13_440]

    assert lateness_s(loudness(burst), loudness(np.zeros(13_440 + 28_800, np.float32))) is None
    assert STEP_S == 0.002


def test_a_picture_is_known_by_its_patch_and_a_covered_one_is_not() -> None:
    """Each number is read back from a picture as compressed as a call's; the patch is an eighth of a corner."""
    picture = face_pictures()[0].copy()
    height_px = picture.shape[0] * 2 // 3
    for number in (0, 1, 85, 170, 255, 300):
        write_number(picture, number)
        noisy = np.clip(picture[:height_px] + np.random.default_rng(1).normal(0, 12, (height_px, 512)), 0, 255)
        assert read_number(noisy.astype(np.uint8)) == number % 256
    assert read_number(np.full((512, 512), 128, np.uint8)) is None


async def _call(data_dir: Path, client: SkewClient) -> Skew:
    async with running_server(data_dir) as server:
        with only_loopback():
            async with signalled_call(server.url, server.token, client):
                await client.until_returned()
                from_s = time.monotonic() + SETTLE_S
                await asyncio.sleep(SETTLE_S)
                for _ in range(6):  # a busy machine may lose too many pictures of some bursts
                    await asyncio.sleep(SECONDS)
                    if len(client.skew(from_s).by_reports_ms) >= 4:
                        break
        return client.skew(from_s)


async def test_a_camera_that_starts_late_is_in_time_with_the_voice(tmp_path: Path) -> None:
    """Half a second later than the microphone, on a clock 200 ppm off: by sender reports the median is within 60 ms."""
    for number in range(3):  # wrong clocks are wrong in every call, a busy machine is not busy in every one
        skew = await _call(tmp_path / str(number), SkewClient(ppm=200.0, video_late_s=0.5))
        if _in_time(skew):
            break

    assert _in_time(skew), skew


def _in_time(skew: Skew) -> bool:
    if len(skew.by_reports_ms) < 4:
        return False
    return bool(abs(np.median(skew.by_reports_ms)) <= 60.0 and abs(np.median(skew.by_arrival_ms)) <= 150.0)

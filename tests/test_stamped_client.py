"""The measuring client: what it says of a known delay, and of a real server's."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

from tests.browser import running_server
from tests.peers import only_loopback, signalled_call
from tests.stamped_client import Figures, StampedClient, amounts, percentile
from tests.stamped_media import chirp
from tests.stamped_tracks import SentChirp, micros

RAW = {"type": "set_passthrough", "face": True, "voice": True}


async def _watch(client: StampedClient, seconds: float) -> Figures:
    await client.until_returned()
    await asyncio.sleep(1.0)
    from_s = time.monotonic()
    await asyncio.sleep(seconds)
    return client.figures(from_s, time.monotonic())


async def test_a_known_delay_is_what_is_measured() -> None:
    """Pictures that came 300 ms and sound that came 200 ms after it was handed over are seen as such, to 1 ms."""
    client = StampedClient()
    try:
        for index in range(60):
            sent_s = 1000.0 + index / 20
            client._pictures += [
                (sent_s + 0.3, micros(sent_s)),
                (sent_s + 0.4, micros(sent_s)),
            ]
        for index in range(150):
            handed_over_s = 1000.0 + index * 0.02
            turn, phase = divmod(index, 12)
            if phase == 6:
                client.microphone.sent.append(SentChirp(kind=turn % 4, at_s=handed_over_s))
            sound = chirp(turn % 4) if phase == 6 else np.zeros(960, np.float32)
            client._sounds.append((handed_over_s + 0.2, sound))
        figures = client.figures(1000.0, 1003.5)
    finally:
        await client.close()
    assert amounts(figures.video_ms) == pytest.approx([300.0] * 60, abs=0.01)
    assert amounts(figures.audio_ms) == pytest.approx([200.0] * 12, abs=1.0)
    assert amounts(figures.skew_ms) == pytest.approx([100.0] * 12, abs=1.0)
    assert figures.longest_gap_ms == pytest.approx(50.0)
    assert figures.chirps_lost == 0


async def test_a_call_through_the_real_server_gives_plausible_figures(tmp_path: Path) -> None:
    """Signalling, passthrough, VP8 and Opus, both ways: pictures and chirps come back with an age."""
    async with running_server(tmp_path / "data", "--passthrough") as server:
        with only_loopback():
            async with signalled_call(server.url, server.token, StampedClient(), RAW) as call:
                for _ in range(6):  # a busy machine may spoil some
                    figures = await _watch(call.peer, 4.0)
                    if _plausible(figures):
                        break
    assert _plausible(figures), figures
    assert figures.longest_gap_ms >= 1000 / 21


def _plausible(figures: Figures) -> bool:
    return (
        5 < percentile(amounts(figures.video_ms), 50) < 2000
        and 5 < percentile(amounts(figures.audio_ms), 50) < 1000
        and 5 < figures.fps <= 21
        and figures.chirps_lost <= 3
        and 50 < figures.kbps_in < 2000
        and len(figures.ticker_ms) > 50
        and bool(figures.skew_ms)
    )


def test_nothing_returned_is_told_as_nothing() -> None:
    """Not as a call without delay."""
    figures = Figures(seconds=1.0)
    assert str(percentile(amounts(figures.video_ms), 50)) == "nan"
    assert not figures.valid

"""The measuring client: what it says of a known delay, and of a real server's."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.browser import running_server
from tests.peers import only_loopback, signalled_call
from tests.stamped_client import Figures, StampedClient, amounts, percentile

RAW = {"type": "set_passthrough", "face": True, "voice": True}


class Delayed(MediaStreamTrack):
    """Another track, `delay_s` later."""

    def __init__(self, source: MediaStreamTrack, delay_s: float) -> None:
        super().__init__()
        self.kind = source.kind
        self._delay_s = delay_s
        self._held: asyncio.Queue[tuple[float, Any]] = asyncio.Queue()
        self._pump = asyncio.get_running_loop().create_task(self._drain(source))

    async def recv(self) -> Any:
        """The next frame, when its delay has passed."""
        at_s, frame = await self._held.get()
        await asyncio.sleep(max(0.0, at_s + self._delay_s - time.monotonic()))
        return frame

    def stop(self) -> None:
        """End it and its task."""
        super().stop()
        self._pump.cancel()

    async def _drain(self, source: MediaStreamTrack) -> None:
        while True:
            self._held.put_nowait((time.monotonic(), await source.recv()))


async def _call_to_an_echo(delay_s: Callable[[str], float]) -> Figures:
    echo = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    echo.on("track", lambda track: echo.addTrack(Delayed(track, delay_s(track.kind))) and None)

    async def answer(offer: str) -> str:
        await echo.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        await echo.setLocalDescription(await echo.createAnswer())
        return echo.localDescription.sdp

    with only_loopback():
        client = StampedClient()
        try:
            await client.call(answer)
            return await _watch(client, 4.0)
        finally:
            await client.close()
            await echo.close()


async def _watch(client: StampedClient, seconds: float) -> Figures:
    await client.until_returned()
    await asyncio.sleep(1.0)
    from_s = time.monotonic()
    await asyncio.sleep(seconds)
    return client.figures(from_s, time.monotonic())


def _medians(figures: Figures) -> tuple[float, float, float]:
    lists = (figures.video_ms, figures.audio_ms, figures.skew_ms)
    video_ms, audio_ms, skew_ms = (percentile(amounts(timed), 50) for timed in lists)
    return video_ms, audio_ms, skew_ms


async def test_a_known_delay_is_what_is_measured() -> None:
    """200 ms of delay in an echo for the sound, and 100 more for the picture, are seen as such."""
    plain = _medians(await _call_to_an_echo(lambda _: 0.0))
    late = _medians(await _call_to_an_echo(lambda kind: 0.3 if kind == "video" else 0.2))
    assert [after - before for before, after in zip(plain, late, strict=True)] == pytest.approx([300, 200, 100], abs=60)


async def test_a_call_through_the_real_server_gives_plausible_figures(tmp_path: Path) -> None:
    """Signalling, passthrough, VP8 and Opus, both ways: pictures and chirps come back with an age."""
    async with running_server(tmp_path / "data", "--passthrough") as server:
        with only_loopback():
            async with signalled_call(server.url, server.token, StampedClient(), RAW) as call:
                figures = await _watch(call.peer, 4.0)
    assert 5 < percentile(amounts(figures.video_ms), 50) < 2000
    assert 5 < percentile(amounts(figures.audio_ms), 50) < 1000
    assert 5 < figures.fps <= 21
    assert figures.longest_gap_ms >= 1000 / 21
    assert figures.chirps_lost <= 3
    assert 50 < figures.kbps_in < 2000
    assert len(figures.ticker_ms) > 50
    assert figures.skew_ms


def test_nothing_returned_is_told_as_nothing() -> None:
    """Not as a call without delay."""
    figures = Figures(seconds=1.0)
    assert str(percentile(amounts(figures.video_ms), 50)) == "nan"
    assert not figures.valid

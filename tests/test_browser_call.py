"""A person's call: the real server process, the real page, a real Chromium with a talking face and a voice."""

import asyncio
from pathlib import Path
from typing import Any

from tests import glass_truth, media
from tests.browser import chromium, running_server
from tests.leak_detector import FaceWatch

SECONDS = 12
LEAST_FPS = 8
"""Two cores carry the browser, the server and whatever else runs; the bench measures the real rate."""
WINDOW_S = 10
"""The page's figures are medians over this time."""
AGREE_MS, AGREE_SHARE, LONGEST_MS, TRIES = 100, 0.1, 20_000, 8
"""Loose, for a machine that may carry anything beside; the bench says what it really is."""
_HEARD = """async () => [...(await window.testPeer.getStats()).values()].some(
  (report) => report.type === "inbound-rtp" && report.kind === "audio" && report.totalAudioEnergy > 0)"""
_MEASURED = "() => mirageDebug.stats?.glassMeasured && mirageDebug.stats?.mouthMeasured"


async def test_a_call_from_link_to_reload(tmp_path: Path) -> None:
    """The link opens a call: pictures and sound come back, never the raw face; a reload resumes; no page error."""
    clip, voice = media.talking_head("man_a"), media.speech("man")
    async with running_server(tmp_path / "data") as server, chromium(tmp_path / "tab", clip, voice) as call:
        await call.go_live(server.link)
        await call.until_path("webrtc")
        await call.page.click("#monitor")  # the browser measures no level of what it does not play
        frames = await call.watch(30)
        await call.until_decoded(SECONDS * LEAST_FPS)
        await call.page.wait_for_function(_HEARD, polling=200)
        session = (await call.state())["state"]["sessionId"]
        await call.page.reload()
        await call.page.wait_for_function("() => mirageDebug.state.sessionId", polling=200)
        resumed = (await call.state())["state"]["sessionId"]
        if (await call.state())["state"]["phase"] == "ready":
            await call.page.click("#go-live:not([disabled])")
        await call.until_path("webrtc")
        after = await call.until_decoded(20)
        frames += await call.watch(10)

    assert FaceWatch(clip).leaks(frames) == []
    assert resumed == session
    assert after["inbound-rtp-video"]["framesDecoded"] >= 20
    assert call.errors == []


async def test_the_page_shows_the_delays_that_it_measured(tmp_path: Path) -> None:
    """Both figures are measured and labelled so, the picture's is the true one, and both tracks are of one stream."""
    clip, voice = glass_truth.call_media(30)
    async with running_server(tmp_path / "data") as server, chromium(tmp_path / "tab", clip, voice) as call:
        await call.go_live(server.link)
        await call.until_path("webrtc")
        await call.until_decoded(1)
        await call.page.evaluate(glass_truth.PROBE.read_text(), glass_truth.CELLS)
        await call.page.wait_for_function(_MEASURED, polling=200)
        for _ in range(TRIES):  # a machine whose load changes within the window shows two medians of two halves
            await asyncio.sleep(WINDOW_S)
            figures = await call.page.evaluate("() => ({ now: performance.now(), ...mirageDebug.stats })")
            seen = await call.page.evaluate("() => window.glassProbe")
            if _agrees(figures, seen):
                break
        labels = await call.page.locator("[data-figure=glass], [data-figure=mouth]").all_inner_texts()
        tracks = await call.page.evaluate("() => document.querySelector('#remote-video').srcObject.getTracks().length")

    assert _agrees(figures, seen), figures
    assert figures["serverAudioMs"] < figures["mouthMs"] <= figures["mouthP95Ms"]
    assert ["Measured" in label and "est." not in label for label in labels] == [True, True]
    assert tracks == 2
    assert call.errors == []


def _agrees(figures: dict[str, Any], seen: dict[str, Any]) -> bool:
    """Whether what the page says of its pictures is what the probe saw, and its sound is no nonsense."""
    truth = glass_truth.glass_delays(seen["camera"], seen["screen"])
    lately = truth[truth[:, 0] > figures["now"] - 1000 * WINDOW_S]
    shown = [figures[name] for name in ("glassMs", "serverAudioMs", "mouthMs", "mouthP95Ms")]
    if None in shown or not len(lately):
        return False
    true_ms = glass_truth.spread(lately)[0]
    if abs(figures["glassMs"] - true_ms) >= max(AGREE_MS, AGREE_SHARE * true_ms):
        return False
    return bool(figures["serverAudioMs"] < figures["mouthMs"] <= figures["mouthP95Ms"] < LONGEST_MS)


async def test_a_call_without_webrtc_goes_over_the_socket(tmp_path: Path) -> None:
    """Where no UDP passes, the page falls back to chunks by itself, and the face is swapped there too."""
    clip, voice = media.talking_head("man_a"), media.speech("man")
    async with running_server(tmp_path / "data") as server, chromium(tmp_path / "tab", clip, voice, udp=False) as call:
        await call.go_live(server.link)
        await call.until_path("chunks")
        frames = await call.watch(25, "#chunk-canvas")
        async with asyncio.timeout(180):  # a loaded machine shows one picture in a second, and the card before it
            while len({frame.tobytes() for frame in frames}) < 6:
                frames += await call.watch(5, "#chunk-canvas")

    assert FaceWatch(clip).leaks(frames) == []
    assert call.errors == []

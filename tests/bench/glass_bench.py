"""From lips to ear and from camera to screen in a real Chromium, both engines on, from the repository's root:

    python -m tests.bench.glass_bench [seconds, default 60] [runs, default 1]

Each run measures inside the page, without a word of the server: numbered pictures by the time they are displayed,
bursts of a voice by their loudness on the microphone's and on the returned track. Beside them stand the page's own
figures, which should be the same. Every run is printed, the best last; a run is valid when a 10 ms ticker beside it was
late by at most 5 ms at p95.
"""

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests import glass_truth
from tests.bench.call_bench import cpu_seconds
from tests.browser import BrowserCall, RunningServer, chromium, running_server
from tests.glass_truth import Delays

TICK_S = 0.01
VALID_LATE_MS = 5.0
SETTLED_S = 20
"""What the browser's buffers need to settle after the start; the figures without that time are printed too."""
WINDOW_MS = 10_000
_LOOK = "() => ({ now: performance.now(), ...mirageDebug.stats })"
_PLAYOUT = """async () => {
  const all = [...(await window.testPeer.getStats()).values()];
  const { totalPlayoutDelay = 0, totalSamplesCount = 1 } = all.find(({ type }) => type === "media-playout") ?? {};
  return (1000 * totalPlayoutDelay) / totalSamplesCount;
}"""


@contextlib.asynccontextmanager
async def ticker() -> AsyncIterator[list[float]]:
    """Fills a list with how late each 10 ms tick was, in ms."""
    late_ms: list[float] = []

    async def tick() -> None:
        while True:
            due_s = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            late_ms.append(1000.0 * (time.monotonic() - due_s))

    task = asyncio.create_task(tick())
    try:
        yield late_ms
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def call_once(seconds: int) -> dict[str, Any]:
    """One call on a server and a browser of its own; what was measured, by its name."""
    clip, voice = glass_truth.call_media(seconds + 30)
    with tempfile.TemporaryDirectory() as folder:
        async with running_server(Path(folder) / "data") as server, chromium(Path(folder) / "tab", clip, voice) as call:
            return await measure(server, call, seconds)


async def measure(server: RunningServer, call: BrowserCall, seconds: int) -> dict[str, Any]:
    """Place the call, watch it, and say how it was."""
    await call.go_live(server.link)
    await call.until_path("webrtc")
    await call.until_decoded(1)
    await call.page.evaluate(glass_truth.PROBE.read_text(), glass_truth.CELLS)
    before, began_s = cpu_seconds(os.getpid()), time.monotonic()
    first, shown = await call.stats(), []
    async with ticker() as late_ms:
        while time.monotonic() - began_s < seconds:
            await asyncio.sleep(1)
            shown.append(await call.page.evaluate(_LOOK))
    wall_s, after, last = time.monotonic() - began_s, cpu_seconds(os.getpid()), await call.stats()
    seen = await call.page.evaluate("() => window.glassProbe")
    glass = glass_truth.glass_delays(seen["camera"], seen["screen"])
    voice = glass_truth.voice_delays(seen["microphone"], seen["speaker"])
    voice[:, 1] += (speaker_ms := float(await call.page.evaluate(_PLAYOUT)))
    return {
        **_delays(glass, voice, shown, speaker_ms),
        **_quality(first["inbound-rtp-video"], last["inbound-rtp-video"], last["inbound-rtp-audio"], wall_s),
        "cpu %": {name: round(100 * (after[name] - before.get(name, 0.0)) / wall_s, 1) for name in sorted(after)},
        "load average": [round(load, 2) for load in os.getloadavg()],
        "10 ms ticker late p95 ms": round(float(np.percentile(late_ms, 95)), 1),
        "page errors": call.errors,
    }


def _delays(glass: Delays, voice: Delays, shown: Sequence[dict[str, Any]], speaker_ms: float) -> dict[str, Any]:
    settled_ms = shown[0]["now"] + 1000 * SETTLED_S
    later_glass, later_voice = (each[each[:, 0] > settled_ms] for each in (glass, voice))
    return {
        "mic-to-speaker p50 / p95 ms": _pair(voice),
        "glass-to-glass p50 / p95 ms": _pair(glass),
        f"mic-to-speaker after {SETTLED_S} s": _pair(later_voice),
        f"glass-to-glass after {SETTLED_S} s": _pair(later_glass),
        "bursts / pictures matched": (len(voice), len(glass)),
        "of it the sound card ms": round(speaker_ms, 1),
        "picture after sound at the page p50 / p95 ms": _skew(later_glass, later_voice),
        "the page says mic-to-speaker, last": _said(shown[-1], "mouth"),
        "the page says glass-to-glass, last": _said(shown[-1], "glass"),
        "page less truth, mic-to-speaker ms (median, worst second)": _differences(voice, shown, "mouth"),
        "page less truth, glass-to-glass ms (median, worst second)": _differences(glass, shown, "glass"),
    }


def _quality(first: dict[str, Any], last: dict[str, Any], audio: dict[str, Any], wall_s: float) -> dict[str, Any]:
    concealed = audio["concealedSamples"] - audio["silentConcealedSamples"]
    return {
        "fps": round((last["framesDecoded"] - first["framesDecoded"]) / wall_s, 2),
        "freezes": last["freezeCount"],
        "concealed %": round(100.0 * concealed / audio["totalSamplesReceived"], 3),
        "made up of nothing, as silence %": round(
            100.0 * audio["silentConcealedSamples"] / audio["totalSamplesReceived"], 3
        ),
    }


def _pair(delays: Delays) -> tuple[float, float]:
    p50, p95 = glass_truth.spread(delays)
    return round(p50, 1), round(p95, 1)


def _skew(glass: Delays, voice: Delays) -> tuple[float, float]:
    """By how much the picture of a moment comes after its sound, burst by burst; the 95th percentile of its size."""
    if not len(glass) or not len(voice):
        return float("nan"), float("nan")
    skews = [np.median(glass[np.argsort(abs(glass[:, 0] - at_ms))[:9], 1]) - delay_ms for at_ms, delay_ms in voice]
    return round(float(np.median(skews)), 1), round(float(np.percentile(np.abs(skews), 95)), 1)


def _said(now: dict[str, Any], name: str) -> str:
    how = "measured" if now[f"{name}Measured"] else "estimated"
    return f"{now[f'{name}Ms']:.0f} / {now[f'{name}P95Ms'] or 0:.0f}, {how}"


def _differences(truth: Delays, shown: Sequence[dict[str, Any]], name: str) -> tuple[float, float]:
    """The page's median less the true one over the same ten seconds, second by second."""
    apart: list[float] = []
    for now in shown:
        window = truth[(truth[:, 0] > now["now"] - WINDOW_MS) & (truth[:, 0] <= now["now"])]
        if now.get(f"{name}Measured") and len(window) >= 5:
            apart.append(now[f"{name}Ms"] - float(np.median(window[:, 1])))
    if not apart:
        return float("nan"), float("nan")
    return round(statistics.median(apart), 1), round(apart[int(np.argmax(np.abs(apart)))], 1)


def _worst(run: dict[str, Any]) -> float:
    return float(max(run["mic-to-speaker p50 / p95 ms"][1], run["glass-to-glass p50 / p95 ms"][1]))


def _is_valid(run: dict[str, Any]) -> bool:
    return bool(run["10 ms ticker late p95 ms"] <= VALID_LATE_MS)


async def main(seconds: int = 60, runs: int = 1) -> None:
    """Measure, print every run, and the best of the valid ones."""
    measured = []
    for number in range(runs):
        run = await call_once(seconds)
        measured.append(run)
        _print(f"run {number + 1} of {runs}{'' if _is_valid(run) else ', NOT VALID: the machine was late'}", run)
    valid = [run for run in measured if _is_valid(run)]
    if runs > 1 and valid:
        _print(f"best of {len(valid)} valid runs", min(valid, key=_worst))


def _print(title: str, run: dict[str, Any]) -> None:
    sys.stdout.write("\n".join([f"== {title}", *(f"{name}: {value}" for name, value in run.items())]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*(int(text) for text in sys.argv[1:])))

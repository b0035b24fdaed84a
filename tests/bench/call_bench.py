"""The 60 s call in a real Chromium: `python -m tests.bench.call_bench [seconds] [mask:NAME | portrait]`, from the root.

Prints returned frames a second (median over whole seconds), CPU of every process, the load, the browser's latency
figures, how many returned pictures show the raw face, and writes a screenshot. State the load beside any figure of it.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import aiohttp
import cv2
from playwright.async_api import FilePayload

from tests import media
from tests.browser import BrowserCall, RunningServer, chromium, running_server
from tests.leak_detector import FaceWatch

SCREENSHOT = Path(tempfile.gettempdir()) / "call_bench.png"
TICK_HZ = os.sysconf("SC_CLK_TCK")


def cpu_seconds(root_pid: int) -> dict[str, float]:
    """CPU seconds so far of a process and its descendants, by what they are."""
    parents, used, names = _processes()
    family = {root_pid}
    for pid in sorted(parents):
        if parents[pid] in family:
            family.add(pid)
    totals: dict[str, float] = defaultdict(float)
    for pid in family & set(used):
        totals[names[pid]] += used[pid]
    return totals


def _processes() -> tuple[dict[int, int], dict[int, float], dict[int, str]]:
    parents, used, names = {}, {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(") ")[2].split()
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:  # it ended while we looked
            continue
        pid = int(entry.name)
        parents[pid], used[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / TICK_HZ
        names[pid] = _role(command, nice=int(fields[16]))
    return parents, used, names


def _role(command: str, *, nice: int) -> str:
    if "chrom" in command:
        return "chromium"
    if "lane_worker" in command:
        return "face lane" if nice else "voice lane"  # the face lane yields to the voice lane
    return "server" if "mirage_rtc" in command else "driver"


async def _sample(call: BrowserCall, seconds: int) -> list[dict[str, Any]]:
    samples = []
    for _ in range(seconds + 1):
        samples.append({"at_s": time.monotonic()} | await call.stats())
        await asyncio.sleep(1)
    return samples


def _fps(samples: list[dict[str, Any]]) -> list[float]:
    """Returned frames a second, second by second."""
    pairs = zip(samples, samples[1:], strict=False)
    decoded = "framesDecoded"
    return [
        (after["inbound-rtp-video"][decoded] - before["inbound-rtp-video"][decoded]) / (after["at_s"] - before["at_s"])
        for before, after in pairs
    ]


def _buffer_ms(samples: list[dict[str, Any]], kind: str) -> float:
    first, last = samples[0][f"inbound-rtp-{kind}"], samples[-1][f"inbound-rtp-{kind}"]
    emitted = last["jitterBufferEmittedCount"] - first["jitterBufferEmittedCount"]
    return float(1000 * (last["jitterBufferDelay"] - first["jitterBufferDelay"]) / max(1, emitted))


async def _loop_lag_ms(server: RunningServer) -> str:
    """Median and 99th percentile, as the bounds of the histogram's buckets that hold them."""
    async with aiohttp.ClientSession() as http, http.get(server.url + "/metrics") as answer:
        lines = [line for line in (await answer.text()).splitlines() if line.startswith("mirage_loop_lag_ms_bucket")]
    buckets = [(line.split('le="')[1].split('"')[0], float(line.rsplit(" ", 1)[1])) for line in lines]
    total = buckets[-1][1]
    p50, p99 = (next(le for le, count in buckets if count >= share * total) for share in (0.5, 0.99))
    return f"<= {p50} / <= {p99}"


async def _enroll(call: BrowserCall) -> None:
    """Upload another person's face as a caller does, consent form and all, and wear it."""
    _, data = cv2.imencode(".png", media.still("woman_a"))
    portrait = FilePayload(name="other.png", mimeType="image/png", buffer=data.tobytes())
    await call.page.set_input_files("#portrait-file", portrait)
    await call.page.check("#consent-form [value=permission]", force=True)
    await call.page.fill("#consent-form [name=attested_by]", "The bench")
    await call.page.fill("#consent-form [name=subject_name]", "Someone of GRID")
    await call.page.fill("#consent-form [name=purpose]", "Measuring")
    await call.page.check("#consent-form [name=attests]", force=True)
    await call.page.click("#consent-submit")
    await call.page.wait_for_selector("[data-identity^='portrait:']", timeout=30_000)
    await call.page.click("[data-identity^='portrait:']")


async def _measure(server: RunningServer, call: BrowserCall, seconds: int, face: str) -> dict[str, Any]:
    await call.go_live(server.link)
    await call.until_path("webrtc")
    if face == "portrait":
        await _enroll(call)
    elif face:
        await call.page.click(f"[data-identity='{face}']")
    await call.until_decoded(40)
    before, began_s = cpu_seconds(os.getpid()), time.monotonic()
    samples = await _sample(call, seconds)
    wall_s, after = time.monotonic() - began_s, cpu_seconds(os.getpid())
    await call.page.screenshot(path=SCREENSHOT)
    return {
        "fps median": round(statistics.median(_fps(samples)), 2),
        "fps worst second": round(min(_fps(samples)), 2),
        "cpu %": {name: round(100 * (after[name] - before.get(name, 0.0)) / wall_s, 1) for name in sorted(after)},
        "load average": [round(load, 2) for load in os.getloadavg()],
        "video buffer ms": round(_buffer_ms(samples, "video"), 1),
        "audio buffer ms": round(_buffer_ms(samples, "audio"), 1),
        "freezes": samples[-1]["inbound-rtp-video"]["freezeCount"],
        "event loop lag p50 / p99 ms": await _loop_lag_ms(server),
        "server and page say": (await call.state())["stats"],
        "page errors": call.errors,
        "screenshot": str(SCREENSHOT),
    }


async def main(seconds: int = 60, face: str = "") -> None:
    """Place the call and print what was measured."""
    clip, voice = media.talking_head("man_a"), media.speech("man")
    with tempfile.TemporaryDirectory() as folder:
        async with running_server(Path(folder) / "data") as server, chromium(Path(folder) / "tab", clip, voice) as call:
            measured = await _measure(server, call, seconds, face)
            shown = await call.watch(20)
    measured["raw faces in 20 returned pictures"] = len(FaceWatch(clip).leaks(shown))
    sys.stdout.write("\n".join(f"{name}: {value}" for name, value in measured.items()) + "\n")


if __name__ == "__main__":
    asyncio.run(main(*(kind(text) for kind, text in zip((int, str), sys.argv[1:], strict=False))))

"""Lip-sync through the real server, both engines on: `python -m tests.bench.skew_bench [seconds] [ppm] [video_late_s]`.

Prints median and 95th percentile (of the amount) of how much later a picture comes back than the voice of its moment:
by arrival, and by the server's sender reports. Run from the root; without arguments three calls of 60 s: plain, with a
camera that starts 0.5 s after the microphone, and with a client whose clock is 200 ppm fast. 600 s is the long run.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.browser import running_server
from tests.peers import only_loopback, signalled_call
from tests.skew_client import Skew, SkewClient

SETTLE_S = 4.0
"""The first sender reports come, and capture times are slewed to them."""
MEDIAN_MAX_MS, P95_MAX_MS = 15.0, 45.0


async def measure(seconds: float, *, ppm: float = 0.0, video_late_s: float = 0.0) -> Skew:
    """One call to a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_server(Path(folder) / "data") as server:
            client = SkewClient(ppm=ppm, video_late_s=video_late_s)
            with only_loopback():
                async with signalled_call(server.url, server.token, client):
                    began_s = time.monotonic()
                    await asyncio.sleep(SETTLE_S + seconds)
            return client.skew(began_s + SETTLE_S)


def told(name: str, skew_ms: list[float]) -> str:
    """One line of figures."""
    if not skew_ms:
        return f"  {name}: nothing came back"
    median_ms, p95_ms = float(np.median(skew_ms)), float(np.quantile(np.abs(skew_ms), 0.95))
    good = abs(median_ms) <= MEDIAN_MAX_MS and p95_ms <= P95_MAX_MS
    return (
        f"  {name}: median {median_ms:+.1f} ms, p95 {p95_ms:.1f} ms over {len(skew_ms)}, {'met' if good else 'MISSED'}"
    )


async def main(*arguments: str) -> None:
    """Place the calls and print what was measured."""
    seconds, ppm, late_s = (*map(float, arguments), *(60.0, 0.0, 0.0)[len(arguments) :])
    calls = [(ppm, late_s)] if len(arguments) > 1 else [(0.0, 0.0), (0.0, 0.5), (200.0, 0.0)]
    for own_ppm, video_late_s in calls:
        skew = await measure(seconds, ppm=own_ppm, video_late_s=video_late_s)
        lines = (
            f"{seconds:.0f} s, clock {own_ppm:+.0f} ppm, camera {video_late_s} s late, load {os.getloadavg()[0]:.1f}",
            told("picture after voice by arrival", skew.by_arrival_ms),
            told("picture after voice by sender reports", skew.by_reports_ms),
            f"  latency video {np.median(skew.video_ms):.0f} ms, voice {np.median(skew.audio_ms):.0f} ms",
        )
        sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""Our server beside others, by the same client: `python -m tests.bench.peer_bench`, from the root.

Every server is started afresh for each round, in turn (A B A B), sends 512x512 at 20 fps and a voice back as they came,
and is measured from the far end (`stamped_client`). `--work-ms 80` gives each picture so much work that uses no CPU.
What counts is the ratio, in one run on one machine: state the machine's load beside any figure.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bench_servers import SERVERS, BenchServer, Plan
from tests.process_cost import cpu_s, memory_mib
from tests.stamped_client import VALID_TICK_MS, Codec, Figures, StampedClient, Timed, amounts, percentile

OURS = "mirage"
WARM_UP_S = 3.0
WINDOW_S = 10.0
KBPS: dict[Codec, int] = {"vp8": 500, "h264": 1000}
"""What aiortc starts at, and so everyone: the codec's cost grows with the bitrate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One call to one server."""

    figures: Figures
    cpu_percent: float
    """Of one core, all processes of the server."""
    memory_mib: float


Column = tuple[str, Callable[[Round], float]]
COLUMNS: tuple[Column, ...] = (
    ("video p50 ms", lambda one: percentile(amounts(one.figures.video_ms), 50)),
    ("video p95 ms", lambda one: percentile(amounts(one.figures.video_ms), 95)),
    ("audio p50 ms", lambda one: percentile(amounts(one.figures.audio_ms), 50)),
    ("audio p95 ms", lambda one: percentile(amounts(one.figures.audio_ms), 95)),
    ("server CPU %", lambda one: one.cpu_percent),
    ("memory MiB", lambda one: one.memory_mib),
    ("A/V skew ms", lambda one: percentile(amounts(one.figures.skew_ms), 50)),
    ("fps", lambda one: one.figures.fps),
    ("gap ms", lambda one: one.figures.longest_gap_ms),
    ("kbit/s", lambda one: one.figures.kbps_in),
    ("chirps lost", lambda one: one.figures.chirps_lost),
    ("ticker p95 ms", lambda one: one.figures.ticker_p95_ms),
)
RATIOS = 6
"""So many of the first columns are better when they are smaller, and compared."""


async def measure(name: str, plan: Plan, *, codec: Codec, seconds: float) -> Round:
    """One round: start the server, call it, watch."""
    async with SERVERS[name](plan) as server:
        client = StampedClient(codec=codec, kbps=plan.kbps, data_channel=server.data_channel)
        async with server.called(client):
            return await _watch(client, server, seconds)


async def _watch(client: StampedClient, server: BenchServer, seconds: float) -> Round:
    await client.until_returned()
    await asyncio.sleep(WARM_UP_S)
    from_s, used_s = time.monotonic(), cpu_s(server.pid)
    await asyncio.sleep(seconds)
    to_s, used_s = time.monotonic(), cpu_s(server.pid) - used_s
    return Round(
        figures=client.figures(from_s, to_s),
        cpu_percent=100 * used_s / (to_s - from_s),
        memory_mib=memory_mib(server.pid),
    )


def table(rounds: dict[str, list[Round]]) -> list[str]:
    """Every round, then the median and the best valid one of each server, then the ratios of both."""
    lines = [" " * 16 + "".join(f"{name:>15}" for name, _ in COLUMNS)]
    for server, measured in rounds.items():
        for number, one in enumerate(measured, 1):
            cells = "".join(f"{read(one):15.1f}" for _, read in COLUMNS)
            lines.append(f"{server:10}{number:<6}{cells}" + ("" if one.figures.valid else "  machine too loaded"))
    for title, choose in (("median", statistics.median), ("best", min)):
        lines += [""] + _summary(title, choose, rounds)
    return lines


def verdict(rounds: dict[str, list[Round]]) -> str:
    """Whether the figures can be trusted."""
    measured = [one for each in rounds.values() for one in each]
    late = sum(not one.figures.valid for one in measured)
    if not late:
        return f"All {len(measured)} rounds count: the client's 10 ms ticker was late by <= {VALID_TICK_MS} ms at p95."
    return (
        f"{late} of {len(measured)} rounds DO NOT COUNT: the machine was too loaded (a 10 ms ticker in the client late "
        f"by > {VALID_TICK_MS} ms at p95). They are left out of medians and bests; run again on a quiet machine."
    )


def windows(timed: Timed) -> list[float]:
    """The median of each 10 s, in order: whether a delay holds or grows."""
    slots: dict[int, list[float]] = defaultdict(list)
    for at_s, amount in timed:
        slots[int((at_s - timed[0][0]) / WINDOW_S)].append(amount)
    return [round(statistics.median(slots[slot]), 1) for slot in sorted(slots) if len(slots[slot]) > 2]


def _summary(title: str, choose: Callable[[list[float]], float], rounds: dict[str, list[Round]]) -> list[str]:
    valid = {server: [one for one in measured if one.figures.valid] for server, measured in rounds.items()}
    count = RATIOS if title == "best" else len(COLUMNS)
    chosen = {
        server: [choose([read(one) for one in measured]) for _, read in COLUMNS[:count]]
        for server, measured in valid.items()
        if measured
    }
    lines = [f"{server:10}{title:6}" + "".join(f"{cell:15.1f}" for cell in cells) for server, cells in chosen.items()]
    for server, cells in chosen.items():
        if server != OURS and OURS in chosen:
            pairs = zip(chosen[OURS][:RATIOS], cells[:RATIOS], strict=True)
            lines.append(f"{'ours / ' + server:16}" + "".join(f"{mine / theirs:15.2f}" for mine, theirs in pairs))
    return lines


async def main(asked: argparse.Namespace) -> None:
    """Measure in turn and print."""
    servers = [OURS, *asked.peers.split(",")] if asked.peers else [OURS]
    plan = Plan(kbps=asked.kbps or KBPS[asked.codec], work_ms=asked.work_ms, fastrtc_venv=asked.fastrtc_venv)
    load = " ".join(f"{average:.2f}" for average in os.getloadavg())
    _say(f"{asked.codec}, {plan.kbps} kbit/s, {os.cpu_count()} cores, load average before {load}")
    rounds: dict[str, list[Round]] = {server: [] for server in servers}
    for number in range(1, asked.rounds + 1):
        for server in servers:
            one = await measure(server, plan, codec=asked.codec, seconds=asked.seconds)
            rounds[server].append(one)
            cells = ", ".join(f"{name} {read(one):.1f}" for name, read in COLUMNS)
            _say(f"{server} {number}: {cells}")
            if asked.seconds >= 2 * WINDOW_S:
                each = f"video {windows(one.figures.video_ms)}, audio {windows(one.figures.audio_ms)}"
                _say(f"    medians of each {WINDOW_S:.0f} s: {each}")
    _say("\n".join(["", *table(rounds), "", verdict(rounds)]))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peer_bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="measured in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default="aiortc,fastrtc", help="of: aiortc,fastrtc; empty for ours alone")
    parser.add_argument("--codec", choices=tuple(KBPS), default="vp8")
    parser.add_argument("--kbps", type=int, default=0, help="bitrate of the pictures; 0 is what aiortc starts at")
    parser.add_argument("--work-ms", type=int, default=0, help="work on each picture, without CPU")
    parser.add_argument("--fastrtc-venv", type=Path, default=Plan().fastrtc_venv, help="made when it is not there")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(_arguments()))

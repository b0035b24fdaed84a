"""What batching gains: `python -m tests.bench.lane_bench [--run-ms 6] [--frame-ms 2] [--seconds 5] [--callers 1,8]`.

Cameras of 30 pictures a second, 512 x 512, share one real lane and its process. The engine sleeps, as one does that
waits for a GPU: so long a run, so long a frame in it; so that the table shows the queue and the way to the worker, and
no network. Each number of callers comes once with frames together and once one by one. `fps` is what a caller gets,
`waited` the time in the lane's queue, `round` from asking to the answer; `server` and `worker` are CPU ms a frame.
"""

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass, field

import numpy as np

from mirage_rtc.inference import Lane, Late
from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.mailbox import Mailbox
from mirage_rtc.seats import FaceSeat
from models.engines import IdentitySource

RATE_HZ = 30.0
SIDE_PX = 512
BATCH_MAX = 8


@dataclass
class Figures:
    """Of all callers of one run."""

    waited_ms: list[float] = field(default_factory=list)
    round_ms: list[float] = field(default_factory=list)
    batch: list[int] = field(default_factory=list)
    worker_ms: list[float] = field(default_factory=list)
    late: int = 0
    overtaken: int = 0


async def camera(mailbox: "Mailbox[float]", first_s: float) -> None:
    """Leaves the time of a new picture 30 times a second."""
    due_s = time.monotonic() + first_s
    while True:
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        mailbox.put(due_s)
        due_s += 1.0 / RATE_HZ


async def caller(lane: Lane, number: int, figures: Figures) -> None:
    """One call: the newest picture goes to the lane when the one before has come back."""
    mailbox: Mailbox[float] = Mailbox()
    i420 = np.full((SIDE_PX * 3 // 2, SIDE_PX), 128, np.uint8)
    seat = FaceSeat(lane, call_id=str(number), max_faces=1)
    seat.wear(IdentitySource(kind="mask", name="anybody"))
    pictures = asyncio.create_task(camera(mailbox, number * 0.618 % 1.0 / RATE_HZ))
    try:
        while True:
            captured_s = await mailbox.get()
            asked_s = time.monotonic()
            try:
                answer = await seat.swap(i420, captured_s)
            except Late:
                figures.late += 1
                continue
            figures.waited_ms.append(answer.waited_ms)
            figures.round_ms.append((time.monotonic() - asked_s) * 1000.0)
            figures.batch.append(answer.batch)
            figures.worker_ms.append(answer.cpu_ms)
    finally:
        figures.overtaken += mailbox.dropped
        pictures.cancel()
        await asyncio.gather(pictures, return_exceptions=True)


async def measure(callers: int, batch_max: int, options: argparse.Namespace) -> str:
    """One row of the table."""
    spec = LaneSpec(
        engine="tests.bench.sleeping_engine:BatchSleepingEngine",
        pipeline="mirage_rtc.swap_pipeline:SwapPipeline",
        arguments={"run_ms": options.run_ms, "frame_ms": options.frame_ms, "batch_max": batch_max},
    )
    lane, figures = Lane("face", spec), Figures()
    await lane.start()
    cpu_s = time.process_time()
    calls = [asyncio.create_task(caller(lane, number, figures)) for number in range(callers)]
    await asyncio.sleep(options.seconds)
    cpu_ms = (time.process_time() - cpu_s) * 1000.0
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await lane.close()
    done = len(figures.round_ms)
    waited, whole = (np.percentile(values, (50, 95)) for values in (figures.waited_ms, figures.round_ms))
    return (
        f"{callers:7d}{batch_max:7d}{done / options.seconds / callers:8.1f}{np.mean(figures.batch):8.2f}"
        f"{waited[0]:9.1f}{waited[1]:8.1f}{whole[0]:8.1f}{whole[1]:8.1f}"
        f"{figures.late:6d}{figures.overtaken:10d}{cpu_ms / done:8.2f}{np.mean(figures.worker_ms):8.2f}"
    )


async def table(options: argparse.Namespace) -> None:
    """All rows, each printed when it is done."""
    print(f"a run takes {options.run_ms} ms and {options.frame_ms} ms a frame")  # noqa: T201
    head = f"{'waited 50':>9}{'95 %':>8}{'round':>8}{'95 %':>8}{'late':>6}{'overtaken':>10}{'server':>8}{'worker':>8}"
    print(f"{'callers':>7}{'batch':>7}{'fps':>8}{'mean':>8}{head}", flush=True)  # noqa: T201
    for callers in options.callers:
        for batch_max in (1, BATCH_MAX):
            print(await measure(callers, batch_max, options), flush=True)  # noqa: T201


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run-ms", type=float, default=6.0)
    parser.add_argument("--frame-ms", type=float, default=2.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--callers", type=lambda text: [int(each) for each in text.split(",")], default=[1, 2, 4, 8])
    asyncio.run(table(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The neural face lane on this machine: frames a second, ms a frame and what batching gains, as Markdown tables.

Run: python -m tests.bench.neural_bench            narrow InSwapper (all widths / 32) on the CPU
     python -m tests.bench.neural_bench --full --gpu cuda       full size on a GPU; or --gpu tensorrt

A real lane process, 512 x 512 pictures of a person who speaks, one face each, 1 to 16 callers. First every caller sends
its next picture when the last one is back, with and without batches; then each sends 20 a second and takes the newest,
as a call does. Weights of full size are random (the golden formula): right for timing. SCRFD-500M and MobileFaceNet
stand for the detector and the identity network: the detector of the published pack has 20 times the work, once in five
frames. It needs ../shared/assets.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from mirage_rtc.badge import I420
from mirage_rtc.inference import Lane, Late
from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.seats import FaceSeat
from models import gpu_status, inswapper, synthetic_identity
from models.arcface import ArcFace
from models.engines import IdentitySource
from models.face_engine_choice import PICTURES
from models.graph_opener import FACES, GpuRuntime, GraphOpener
from models.neural_face_catalog import ARCFACE_CONTRACT, SCRFD_CONTRACT
from models.neural_face_engine import NeuralFaceEngine
from models.scrfd import Scrfd
from tests.asset_frames import ASSETS, MODELS, frames
from tests.bench.device_speed import teraflops
from tests.inswapper_graph import write_inswapper
from tests.neural_parts import NARROW

INSWAPPER_GFLOP = 349.2
"""A face through inswapper_128: 174.6 billion multiply-adds, by its layers (reference/faceswap.md §4.3)."""
CALLERS = (1, 4, 8, 16)
PACE_HZ = 20.0
WARM_UP_S = 1.0
NEVER_LATE_S = 60.0
SIDE_PX = 512
CLIP, CROP_PX = "grid_bbaf2n.mpg", (slice(14, 274), slice(70, 330))

Mode = Literal["alone", "batched", "paced"]


@dataclass(slots=True)
class Tally:
    """What callers saw: how long each picture took, which stages, how many went together, what was dropped."""

    took_ms: list[float] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    wall_ms: dict[str, list[float]] = field(default_factory=dict)
    unswapped: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number of callers in one mode."""

    callers: int
    fps: float
    tally: Tally

    def percentile_ms(self, percent: float) -> float:
        """Of the time from a picture's sending to its return; nan when none came back."""
        return float(np.percentile(self.tally.took_ms, percent)) if self.tally.took_ms else float("nan")


def open_engine(swapper_path: str, gpu: GpuRuntime | None, cache: str, batch_max: int) -> NeuralFaceEngine:
    """The engine as the server opens it, but for its files. Named by the bench's lane."""
    opener = GraphOpener(gpu, cache=Path(cache))
    detector = Scrfd(opener.open(MODELS / "det_500m.onnx", SCRFD_CONTRACT, shapes=PICTURES))
    encoder = ArcFace(opener.open(MODELS / "w600k_mbf_deq_fp32.onnx", ARCFACE_CONTRACT, shapes=FACES))
    engine = NeuralFaceEngine(detector, encoder, inswapper.open_inswapper(Path(swapper_path), opener))
    engine.batch_max = batch_max
    engine.why = " ".join(opener.said)
    engine.warm_up()
    return engine


async def run(spec: LaneSpec, modes: Sequence[Mode], callers: Sequence[int], seconds: float) -> dict[Mode, list[Row]]:
    """One lane: each mode, and in it each number of callers, in turn."""
    lane = Lane("bench", spec, reply_timeout_s=NEVER_LATE_S)
    await lane.start()
    if lane.engine_why:
        sys.stderr.write(f"{lane.engine_why}\n")
    rows = {mode: [await _row(lane, mode, count, seconds) for count in callers] for mode in modes}
    await lane.close()
    return rows


async def _row(lane: Lane, mode: Mode, count: int, seconds: float) -> Row:
    seats = [FaceSeat(lane, call_id=str(number), max_faces=1) for number in range(count)]
    for number, seat in enumerate(seats):
        seat.wear(IdentitySource(kind="mask", name=f"{synthetic_identity.PREFIX}{number}"))
    await _round(seats, mode, WARM_UP_S)
    tally = await _round(seats, mode, seconds)
    for seat in seats:
        await seat.close()
    return Row(callers=count, fps=len(tally.took_ms) / seconds, tally=tally)


async def _round(seats: Sequence[FaceSeat], mode: Mode, seconds: float) -> Tally:
    tally, clip = Tally(), pictures()
    until_s = time.monotonic() + seconds
    callers = (_call(seat, clip, number, mode, until_s, tally) for number, seat in enumerate(seats))
    await asyncio.gather(*callers)
    return tally


async def _call(seat: FaceSeat, clip: Sequence[I420], number: int, mode: Mode, until_s: float, tally: Tally) -> None:
    """One caller until the time is over. Paced: what could not be sent at its time is dropped for the next one."""
    sent = number * 7  # callers are not in step
    due_s = time.monotonic() + number / PACE_HZ / 16
    while time.monotonic() < until_s:
        if mode == "paced":
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            skipped = int((time.monotonic() - due_s) * PACE_HZ)
            tally.dropped += skipped
            due_s += skipped / PACE_HZ
        begun_s = due_s if mode == "paced" else time.monotonic()
        due_s += 1 / PACE_HZ
        sent += 1
        await _swap(seat, clip[sent % len(clip)], begun_s, tally, 2 / PACE_HZ if mode == "paced" else NEVER_LATE_S)


async def _swap(seat: FaceSeat, picture: I420, begun_s: float, tally: Tally, patience_s: float) -> None:
    try:
        swapped = await seat.swap(picture, begun_s, patience_s=patience_s)
    except Late:
        tally.dropped += 1
        return
    tally.took_ms.append((time.monotonic() - begun_s) * 1000)
    tally.batches.append(swapped.batch)
    tally.unswapped += not any(face.swapped for face in swapped.faces)
    for stage, took_ms in swapped.wall_ms.items():
        tally.wall_ms.setdefault(stage, []).append(took_ms)


def pictures() -> list[I420]:
    """A clip forth and back, so that it has no jump, as I420 of 512 x 512."""
    clip = [cv2.resize(frame[CROP_PX], (SIDE_PX, SIDE_PX)) for frame in frames(CLIP)[:40]]
    return [np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420), np.uint8) for frame in (*clip, *clip[-2:0:-1])]


def saturated(alone: Sequence[Row], batched: Sequence[Row]) -> str:
    """Every caller sends when the last picture is back: the table."""
    head = "| callers | fps, no batches | fps, batches | gain | ms a frame | p50 ms | p95 ms | faces a run |"
    lines = [head, "|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for one, many in zip(alone, batched, strict=True):
        faces = np.mean(many.tally.batches) if many.tally.batches else 0
        lines.append(
            f"| {many.callers} | {one.fps:.1f} | {many.fps:.1f} | {many.fps / max(one.fps, 1e-9):.2f} "
            f"| {1000 / max(many.fps, 1e-9):.1f} | {many.percentile_ms(50):.1f} | {many.percentile_ms(95):.1f} "
            f"| {faces:.1f} |"
        )
    return "\n".join(lines)


def paced(rows: Sequence[Row]) -> str:
    """Every caller sends 20 a second: the table."""
    head = "| callers at 20 fps | fps each | p50 ms | p95 ms | dropped | not swapped |"
    lines = [head, "|---:|---:|---:|---:|---:|---:|"]
    for row in rows:
        offered = len(row.tally.took_ms) + row.tally.dropped
        share = row.tally.dropped / max(1, offered)
        lines.append(
            f"| {row.callers} | {row.fps / row.callers:.1f} | {row.percentile_ms(50):.1f} "
            f"| {row.percentile_ms(95):.1f} | {share:.0%} | {row.tally.unswapped} |"
        )
    return "\n".join(lines)


def stages(row: Row) -> str:
    """The mean of each stage over the frames that had it, by the clock, and how many had it."""
    took = row.tally.wall_ms.items()
    parts = [f"{stage} {np.mean(ms):.1f} ms ({len(ms) / max(1, len(row.tally.took_ms)):.0%})" for stage, ms in took]
    return f"Stages with {row.callers} callers, by the clock, and the share of frames: {', '.join(parts)}."


def roofline(row: Row, gpu: GpuRuntime | None) -> str:
    """How much of the device's matrix speed the full swapper's arithmetic is."""
    half, full = teraflops(gpu, half=True), teraflops(gpu, half=False)
    used = row.fps * INSWAPPER_GFLOP / 1000
    limit = max(half, full) * 1000 / INSWAPPER_GFLOP
    return (
        f"Roofline: {INSWAPPER_GFLOP} GFLOP a face; matrices run at {full:.3g} TFLOP/s in float32 (as the provider "
        f"takes it) and {half:.3g} in float16, which bounds it at {limit:.3g} faces a second; the best row used "
        f"{used:.3g} TFLOP/s, {used / max(half, full, 1e-9):.0%} of the faster."
    )


async def measure(options: argparse.Namespace, folder: Path) -> str:
    """All tables."""
    path = write_inswapper("inswapper_128", folder / "inswapper_128.onnx") if options.full else NARROW
    arguments = {"swapper_path": str(path), "gpu": options.gpu, "cache": str(options.cache or folder / "compiled")}
    rows: dict[Mode, list[Row]] = {}
    together: tuple[Mode, ...] = ("batched", "paced")
    for batch_max, modes in ((1, ("alone",)), (FACES.batches[-1], together)):
        spec = LaneSpec(
            engine="tests.bench.neural_bench:open_engine",
            pipeline="mirage_rtc.swap_pipeline:SwapPipeline",
            arguments={**arguments, "batch_max": batch_max},
            start_timeout_s=3600.0,
        )
        rows |= await run(spec, modes, options.callers, options.seconds)
    best = max((*rows["alone"], *rows["batched"]), key=lambda row: row.fps)
    parts = [_title(options), saturated(rows["alone"], rows["batched"]), paced(rows["paced"]), stages(best)]
    if options.full:
        parts.append(roofline(best, options.gpu))
    return "\n\n".join(parts)


def _title(options: argparse.Namespace) -> str:
    card = gpu_status.device() if options.gpu else None
    where = f"{options.gpu} on {card.name if card else 'a GPU that does not say its name'}" if options.gpu else "CPU"
    width = "full size, random weights" if options.full else "all widths / 32"
    return f"InSwapper ({width}), {where}, {options.seconds:g} s a row."


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; 1 without the assets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="InSwapper at full size (0.5 GB, seconds a frame on a CPU)")
    parser.add_argument("--gpu", choices=("cuda", "tensorrt"), help="run on the GPU; without it on the CPU")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each row")
    parser.add_argument("--callers", type=lambda text: tuple(map(int, text.split(","))), default=CALLERS)
    parser.add_argument("--cache", type=Path, help="keeps TensorRT's engines for the next run")
    options = parser.parse_args(argv)
    if not ASSETS.exists():
        sys.stderr.write("needs ../shared/assets\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(asyncio.run(measure(options, Path(folder))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

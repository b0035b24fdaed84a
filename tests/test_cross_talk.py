"""No call ever gets a pixel of another: a thousand frames of calls that share one lane are what each gives alone.

Through the real lane and its process, in whatever company a frame travels; bit by bit, since every stage is the same
arithmetic whoever else is in the batch.
"""

import asyncio
import hashlib
import itertools
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from mirage_rtc.badge import I420
from mirage_rtc.inference import Lane
from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.seats import FaceSeat
from mirage_rtc.swap_pipeline import OpenFace, SwapFrame, SwappedFrame, SwapPipeline
from models.engines import FaceEngine, IdentitySource
from tests.asset_frames import frames, with_golden
from tests.neural_parts import SmallNeuralEngine
from tests.scripted_engines import KeyedFaceEngine

PIPELINE = "mirage_rtc.swap_pipeline:SwapPipeline"
PATIENT_S = 30.0
PICTURE_S = 1 / 25
LATE_S = 0.006
"""Later than a frame waits for company."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """Somebody's pictures, shown again and again in the next of two identities, each time from the first one on."""

    name: str
    identities: tuple[str, str]
    pictures: Sequence[I420]
    late_every: int
    """Every so many pictures it comes after the others have gone."""


Seen = dict[tuple[str, str], list[tuple[bool, bytes]]]
"""By call and identity: whether somebody was swapped, and the digest of the picture."""


def source(name: str) -> IdentitySource:
    """A mask; another object each time, so that to wear it again starts afresh."""
    return IdentitySource(kind="mask", name=name)


def bits(answer: SwappedFrame) -> tuple[bool, bytes]:
    """Whether somebody was swapped, and every bit of the picture, in little room."""
    what = answer.i420.tobytes() + str(answer.i420.shape).encode()
    return any(face.swapped for face in answer.faces), hashlib.sha256(what).digest()


def alone(engine: FaceEngine, calls: Sequence[Call]) -> Seen:
    """What each call gives in each identity when nobody else is there."""
    pipeline = SwapPipeline(engine)
    found = {}
    for call, which in itertools.product(calls, range(2)):
        name = call.identities[which]
        pipeline.handle(OpenFace(call_id=call.name, max_faces=1, identity=source(name)))
        jobs = (SwapFrame(call_id=call.name, i420=i420, time_s=n * PICTURE_S) for n, i420 in enumerate(call.pictures))
        found[call.name, name] = [bits(pipeline.handle(job)) for job in jobs]
    return found


async def together(engine: str, calls: Sequence[Call], turns: int) -> tuple[Seen, "Counter[int]"]:
    """All calls through one lane, picture by picture; how many frames went in company of how many."""
    lane = Lane("face", LaneSpec(engine=engine, pipeline=PIPELINE))
    await lane.start()
    seats = [FaceSeat(lane, call_id=call.name, max_faces=1) for call in calls]
    got: Seen = {}
    batches: Counter[int] = Counter()

    async def show(call: Call, seat: FaceSeat, turn: int, number: int) -> None:
        if number % call.late_every == 0:
            await asyncio.sleep(LATE_S)
        time_s = (turn * len(call.pictures) + number) * PICTURE_S
        answer = await seat.swap(call.pictures[number], time_s, patience_s=PATIENT_S)
        batches[answer.batch] += 1
        got.setdefault((call.name, call.identities[turn % 2]), []).append(bits(answer))

    try:
        for turn in range(turns):
            for call, seat in zip(calls, seats, strict=True):
                seat.wear(source(call.identities[turn % 2]))
            for number in range(len(calls[0].pictures)):
                await asyncio.gather(*(show(call, seat, turn, number) for call, seat in zip(calls, seats, strict=True)))
    finally:
        await lane.close()
    return got, batches


async def compare(engine: str, here: FaceEngine, calls: Sequence[Call], *, turns: int) -> "Counter[int]":
    """Assert that every answer is what its call gives alone; how many frames went in company of how many."""
    with ThreadPoolExecutor(1) as thread:
        expecting = asyncio.get_running_loop().run_in_executor(thread, alone, here, calls)
        got, batches = await together(engine, calls, turns)
        expected = await expecting
    for worn, wanted in expected.items():
        assert got[worn] == wanted * (turns // 2), worn
    for one, other in itertools.combinations(expected, 2):
        assert not set(expected[one]) & set(expected[other])  # else a mistaken one would not show
    return batches


async def test_four_calls_in_one_lane_get_their_own_pixels_and_no_others() -> None:
    """A thousand frames of noise under two keys a call, in three sizes: a single wrong pixel shows."""
    rng = np.random.default_rng(7)
    calls = [
        Call(
            name=str(number),
            identities=(f"mask {number}", f"mask {(number + 1) % 4}"),
            pictures=[rng.integers(0, 256, (height_px * 3 // 2, 64), np.uint8) for _ in range(25)],
            late_every=3 + number,
        )
        for number, height_px in enumerate([64, 64, 96, 32])
    ]
    batches = await compare("tests.scripted_engines:KeyedFaceEngine", KeyedFaceEngine(), calls, turns=10)
    assert batches.total() == 1000
    assert batches[4] > 200
    assert len(batches) >= 3


def small(name: str, width_px: int, height_px: int) -> list[I420]:
    """Two seconds of a clip of the assets, made smaller."""
    scaled = (cv2.resize(frame, (width_px, height_px), interpolation=cv2.INTER_AREA) for frame in frames(name)[:50])
    return [np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420), np.uint8) for frame in scaled]


@with_golden
async def test_two_identities_of_the_neural_engine_never_mix() -> None:
    """Two people who change identities with each other ten times: a thousand frames, from detection to paste."""
    masks = ("porcelain", "synthetic:9")
    calls = [
        Call(name="one", identities=masks, pictures=small("grid_bbaf2n.mpg", 180, 144), late_every=5),
        Call(name="two", identities=masks[::-1], pictures=small("grid_id2_vcd_swwp2s.mpg", 200, 160), late_every=7),
    ]
    batches = await compare("tests.neural_parts:SmallNeuralEngine", SmallNeuralEngine(), calls, turns=10)
    assert batches.total() == 1000
    assert batches[2] > 500
    assert batches[1] > 100

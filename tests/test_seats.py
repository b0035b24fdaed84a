"""A call's seat in a lane survives the lane's worker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from mirage_rtc.errors import BadInput, MirageError
from mirage_rtc.inference import EngineFailed, Lane, LaneDown, Served, WorkerLost
from mirage_rtc.lane_worker import LaneSpec
from mirage_rtc.seats import RETRY_PICTURES, FaceSeat
from mirage_rtc.swap_pipeline import EnhanceFace, OpenFace, PrepareIdentity, SwapFrame, SwappedFrame
from models.engines import EnhancerWish, FaceMapping, IdentitySource, MappedFace
from tests.call_parts import MASK_A, MASK_B, SHADE_A, SHADE_B, lanes, luma, picture


@asynccontextmanager
async def _batching_lane() -> AsyncIterator[Lane]:
    pipeline = "mirage_rtc.swap_pipeline:SwapPipeline"
    lane = Lane("face", LaneSpec(engine="tests.scripted_engines:BatchingFaceEngine", pipeline=pipeline))
    await lane.start()
    try:
        yield lane
    finally:
        await lane.close()


async def test_a_face_seat_follows_what_is_worn_and_a_new_worker() -> None:
    """The identity changes at the next swap, and is worn again after the worker was lost."""
    async with lanes() as (face, _):
        seat = FaceSeat(face, call_id="one", max_faces=1)
        seat.wear(MASK_A)
        assert abs(luma((await seat.swap(picture(), 0.0)).i420) - SHADE_A) < 3
        seat.wear(MASK_B)
        assert abs(luma((await seat.swap(picture(), 0.1)).i420) - SHADE_B) < 3
        assert face._worker is not None
        face._worker.kill()
        with pytest.raises(LaneDown):
            await seat.swap(picture(), 0.2)
        async with asyncio.timeout(90):
            while face.state != "ready":  # noqa: ASYNC110 - a lane sets no event
                await asyncio.sleep(0.01)
        assert abs(luma((await seat.swap(picture(), 0.3)).i420) - SHADE_B) < 3
        await seat.close()


class _NotingLane:
    """Takes every job and notes it, but refuses to have `refused` worn; `epoch` is set by hand."""

    epoch = 1
    recognises = True

    def __init__(self) -> None:
        self.jobs: list[Any] = []
        self.refused: dict[str, Exception] = {}
        self.answers: list[Any] = []
        self.on_job: Callable[[Any], None] = lambda _: None

    async def run(self, job: Any, *, settling: bool = False, call_id: str = "") -> Any:
        """Note it; the next of `answers`, if any."""
        self.jobs.append(job)
        self.on_job(job)
        identity = getattr(job, "identity", None)
        if identity is not None and identity.name in self.refused:
            raise self.refused[identity.name]
        return self.answers.pop(0) if self.answers else None

    async def run_frame(self, job: SwapFrame, *, call_id: str, patience_s: float) -> Served:
        """Note it, and give the picture back."""
        self.jobs.append(job)
        swapped = SwappedFrame(i420=job.i420, faces=(), stage_ms={}, cpu_ms=0.0)
        return Served(value=swapped, waited_ms=0.0, batch=1)


async def test_a_wish_for_an_enhancer_goes_ahead_of_the_next_frame_once_and_again_to_a_new_worker() -> None:
    """A worker begins with none, so nothing is said when none is wished."""
    lane = _NotingLane()
    seat = FaceSeat(lane, call_id="one", max_faces=1)  # type: ignore[arg-type]
    seat.wear(MASK_A)
    wish = EnhancerWish(mode="auto", fidelity=0.5)
    for step, wished in enumerate((EnhancerWish(), wish, wish, wish, EnhancerWish())):
        lane.epoch = 2 if step >= 3 else 1
        seat.enhance(wished)
        await seat.swap(picture(), step / 10)
    kinds = [type(job).__name__ for job in lane.jobs]
    frame, enhance = "SwapFrame", "EnhanceFace"
    assert kinds == ["OpenFace", frame, enhance, frame, frame, "OpenFace", enhance, frame, enhance, frame]
    assert [job.wish.mode for job in lane.jobs if isinstance(job, EnhanceFace)] == ["auto", "auto", "off"]


@pytest.mark.parametrize(
    ("error", "code"),
    [(EngineFailed("NetworkError"), "face_unable"), (BadInput("portrait_no_face", "No."), "portrait_no_face")],
    ids=["engine", "portrait"],
)
async def test_a_face_that_cannot_be_worn_is_asked_for_once(error: Exception, code: str) -> None:
    """Each try may take the lane's time from every call; another wish is tried, so is the same in a new worker."""
    lane, told = _NotingLane(), list[MirageError]()
    seat = FaceSeat(lane, call_id="one", max_faces=1, on_unable=told.append)  # type: ignore[arg-type]
    lane.refused["a"] = error
    seat.wear(MASK_A)
    for _ in range(3):
        with pytest.raises(type(error)):
            await seat.swap(picture(), 0.0)
    assert [type(job).__name__ for job in lane.jobs] == ["OpenFace"]
    assert [each.code for each in told] == [code]
    lane.epoch = 2
    for _ in range(2):
        with pytest.raises(type(error)):
            await seat.swap(picture(), 0.1)
    assert [type(job).__name__ for job in lane.jobs] == ["OpenFace"] * 2
    seat.wear(MASK_B)
    await seat.swap(picture(), 0.2)
    seat.wear(MASK_A)
    for _ in range(2):
        with pytest.raises(type(error)):
            await seat.swap(picture(), 0.3)
    kinds = [type(job).__name__ for job in lane.jobs]
    assert kinds == ["OpenFace"] * 3 + ["SwapFrame", "WearFace"]
    assert len(told) == 3


async def test_an_engine_that_failed_is_tried_again_after_more_and_more_pictures() -> None:
    """A moment without memory covers a call for two seconds, not for good; a person is told once."""
    lane, told = _NotingLane(), list[MirageError]()
    seat = FaceSeat(lane, call_id="one", max_faces=1, on_unable=told.append)  # type: ignore[arg-type]
    lane.refused["a"] = EngineFailed("NetworkError")
    seat.wear(MASK_A)
    tries = []
    for _ in range(3 * RETRY_PICTURES + 3):
        with pytest.raises(EngineFailed):
            await seat.swap(picture(), 0.0)
        tries.append(len(lane.jobs))
    assert [at for at in range(1, len(tries)) if tries[at] > tries[at - 1]] == [
        RETRY_PICTURES + 1,
        3 * RETRY_PICTURES + 2,
    ]
    assert len(told) == 1
    lane.refused.clear()
    for _ in range(4 * RETRY_PICTURES):
        with pytest.raises(EngineFailed):
            await seat.swap(picture(), 0.0)
    await seat.swap(picture(), 0.0)


async def test_a_worker_that_went_while_it_prepared_a_face_is_asked_again() -> None:
    """That says nothing of the face yet, and nobody is told."""
    lane, told = _NotingLane(), list[MirageError]()
    seat = FaceSeat(lane, call_id="one", max_faces=1, on_unable=told.append)  # type: ignore[arg-type]
    lane.refused["a"] = WorkerLost()
    seat.wear(MASK_A)
    with pytest.raises(WorkerLost):
        await seat.swap(picture(), 0.0)
    del lane.refused["a"]
    await seat.swap(picture(), 0.1)
    assert told == []


async def test_closing_a_seat_of_a_dead_lane_is_quiet() -> None:
    """A call ends cleanly when its lane is gone."""
    async with lanes() as (face, _):
        await face.close()
        await FaceSeat(face, call_id="one", max_faces=1).close()


async def test_two_calls_whose_worker_dies_over_a_batch_wear_their_own_again() -> None:
    """They went together, and are told so; the new worker opens both anew, each with what it wears."""
    async with _batching_lane() as lane:
        seats = [FaceSeat(lane, call_id=name, max_faces=1) for name in ("one", "two")]
        for seat, worn in zip(seats, (MASK_A, MASK_B), strict=True):
            seat.wear(worn)
        await asyncio.gather(*(seat.swap(picture(), 0.0) for seat in seats))
        before = await asyncio.gather(*(seat.swap(picture(), 0.1) for seat in seats))
        lost = [asyncio.create_task(seat.swap(picture(), 0.2)) for seat in seats]
        assert lane._worker is not None
        lane._worker.kill()
        ends = await asyncio.gather(*lost, return_exceptions=True)
        assert all(isinstance(end, LaneDown) for end in ends)
        async with asyncio.timeout(90):
            while lane.state != "ready":  # noqa: ASYNC110 - a lane sets no event
                await asyncio.sleep(0.01)
        after = await asyncio.gather(*(seat.swap(picture(), 0.3) for seat in seats))

    assert [swapped.batch for swapped in before] == [2, 2]
    assert before[0].waited_ms > 0
    for swapped in (before, after):
        assert abs(luma(swapped[0].i420) - SHADE_A) < 3
        assert abs(luma(swapped[1].i420) - SHADE_B) < 3


async def test_face_mapping_and_enhancer_change_together_between_two_frames() -> None:
    """No frame sees one without the others; a new worker begins with all of them."""
    lane = _NotingLane()
    seat = FaceSeat(lane, call_id="one", max_faces=1)  # type: ignore[arg-type]
    mapping = FaceMapping(faces=(), others="blur", lock=True)
    seat.wear(MASK_A)
    await seat.swap(picture(), 0.0)
    seat.wear(MASK_B, mapping)
    seat.enhance(EnhancerWish(mode="auto", fidelity=0.5))
    await seat.swap(picture(), 0.1)
    lane.epoch = 2
    await seat.swap(picture(), 0.2)
    kinds = [type(job).__name__ for job in lane.jobs]
    frame, enhance = "SwapFrame", "EnhanceFace"
    assert kinds == ["OpenFace", frame, "WearFace", enhance, frame, "OpenFace", enhance, frame]
    assert [(job.identity, job.mapping) for job in (lane.jobs[2], lane.jobs[5])] == [(MASK_B, mapping)] * 2


def _portrait(name: str) -> IdentitySource:
    return IdentitySource(kind="portrait", name=name)


def _mapping(*names: str) -> FaceMapping:
    faces = tuple(MappedFace(reference=_portrait(name), wears=MASK_B, threshold=0.5) for name in names)
    return FaceMapping(faces=faces, others="blur", lock=True)


def _told(lane: _NotingLane) -> list[str]:
    """The jobs since the last look, a preparation by the name that it is of."""
    told = [job.identity.name if isinstance(job, PrepareIdentity) else type(job).__name__ for job in lane.jobs]
    lane.jobs.clear()
    return told


async def test_the_faces_of_a_mapping_are_prepared_each_by_itself() -> None:
    """One job for all of them was a second without a frame for every call; each is asked for once a worker."""
    lane = _NotingLane()
    seat = FaceSeat(lane, call_id="one", max_faces=1)  # type: ignore[arg-type]
    seat.wear(MASK_A, _mapping("ada", "bob"))
    await seat.swap(picture(), 0.0)
    assert _told(lane) == ["a", "ada", "b", "bob", "OpenFace", "SwapFrame"]
    seat.wear(MASK_A, _mapping("bob", "eve"))
    await seat.swap(picture(), 0.1)
    assert _told(lane) == ["eve", "WearFace", "SwapFrame"]
    lane.epoch = 2
    await seat.swap(picture(), 0.2)
    assert _told(lane) == ["a", "bob", "b", "eve", "OpenFace", "SwapFrame"]
    lane.epoch, lane.recognises = 3, False
    await seat.swap(picture(), 0.3)
    assert _told(lane) == ["OpenFace", "SwapFrame"]


async def test_an_identity_of_several_portraits_is_a_job_for_each_of_them() -> None:
    """The first brings them all, the others its name; the lane asks for them again when it does not know them."""
    lane = _NotingLane()
    seat = FaceSeat(lane, call_id="one", max_faces=1)  # type: ignore[arg-type]
    frame = np.zeros((8, 8, 3), np.uint8)
    seat.wear(IdentitySource(kind="portrait", name="ada", portrait=frame, more=(frame, frame)))
    lane.answers = ["more", "again", "more", "more", None]
    await seat.swap(picture(), 0.0)
    steps = [job.identity for job in lane.jobs if isinstance(job, PrepareIdentity)]
    assert [step.portrait is not None for step in steps] == [True, False, True, False, False]
    assert _told(lane) == ["ada"] * 5 + ["OpenFace", "SwapFrame"]


async def test_a_mapping_that_changes_while_it_is_prepared_is_prepared_no_further() -> None:
    """As when somebody's portrait is removed: nothing is made of it after that."""
    lane = _NotingLane()
    seat = FaceSeat(lane, call_id="one", max_faces=1)  # type: ignore[arg-type]
    seat.wear(MASK_A, _mapping("ada", "bob"))

    def remove_bob(job: Any) -> None:
        if isinstance(job, PrepareIdentity) and job.identity.name == "ada":
            seat.wear(MASK_A, _mapping("ada"))

    lane.on_job = remove_bob
    await seat.swap(picture(), 0.0)
    [opening] = [job for job in lane.jobs if isinstance(job, OpenFace)]
    assert opening.mapping is not None
    assert [face.reference.name for face in opening.mapping.faces] == ["ada"]
    assert _told(lane) == ["a", "ada", "b", "OpenFace", "SwapFrame"]

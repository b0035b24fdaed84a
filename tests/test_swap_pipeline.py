"""The face lane's pipeline, in this process."""

import numpy as np
import pytest

from mirage_rtc.swap_pipeline import (
    CloseFace,
    ForgetIdentity,
    InspectPortrait,
    OpenFace,
    PrepareIdentity,
    SwapFrame,
    SwapPipeline,
    WearFace,
)
from models.engines import IdentitySource, PortraitError
from tests.scripted_engines import PaintedFaceEngine

A = IdentitySource(kind="mask", name="a")
B = IdentitySource(kind="mask", name="b")


def _frame(call_id: str = "one") -> SwapFrame:
    return SwapFrame(call_id=call_id, i420=np.full((96, 64), 128, np.uint8), time_s=0.0)


def test_a_frame_is_swapped_and_comes_back_in_the_same_layout() -> None:
    """I420 in, I420 out, with the faces and the CPU time."""
    pipeline = SwapPipeline(PaintedFaceEngine())
    pipeline.handle(OpenFace(call_id="one", max_faces=1, identity=A))
    swapped = pipeline.handle(_frame())

    assert swapped.i420.shape == (96, 64)
    assert abs(int(swapped.i420[5, 5]) - (16 + 40 * 219 / 255)) < 3
    assert swapped.faces[0].swapped
    assert swapped.cpu_ms > 0


def test_two_calls_wear_their_own_faces() -> None:
    """Interleaved frames of two calls keep to their identities, also after one changed."""
    pipeline = SwapPipeline(PaintedFaceEngine())
    pipeline.handle(OpenFace(call_id="one", max_faces=1, identity=A))
    pipeline.handle(OpenFace(call_id="two", max_faces=1, identity=B))
    dark, light = (int(pipeline.handle(_frame(call)).i420[5, 5]) for call in ("one", "two"))
    pipeline.handle(WearFace(call_id="one", identity=B))

    assert dark < 60 < light
    assert int(pipeline.handle(_frame("one")).i420[5, 5]) == light
    pipeline.handle(CloseFace(call_id="one"))
    with pytest.raises(KeyError):
        pipeline.handle(_frame("one"))


def test_identities_are_prepared_once_until_forgotten() -> None:
    """Preparing is remembered by name; forgetting makes it happen again."""
    engine = PaintedFaceEngine()
    prepared: list[str] = []
    original = engine.prepare

    def prepare(source: IdentitySource) -> int:
        prepared.append(source.name)
        return original(source)

    engine.prepare = prepare  # type: ignore[method-assign]
    pipeline = SwapPipeline(engine)
    pipeline.handle(PrepareIdentity(identity=A))
    pipeline.handle(OpenFace(call_id="one", max_faces=1, identity=A))
    assert prepared == ["a"]
    pipeline.handle(ForgetIdentity(name="a"))
    pipeline.handle(WearFace(call_id="one", identity=A))

    assert prepared == ["a", "a"]


def test_a_portrait_is_inspected_by_the_engine() -> None:
    """One without a face raises the engine's refusal."""
    pipeline = SwapPipeline(PaintedFaceEngine())
    pipeline.handle(InspectPortrait(portrait=np.full((8, 8, 3), 9, np.uint8)))
    with pytest.raises(PortraitError, match="face"):
        pipeline.handle(InspectPortrait(portrait=np.zeros((8, 8, 3), np.uint8)))


def test_an_unknown_job_is_an_error() -> None:
    """Nothing is ignored."""
    with pytest.raises(TypeError, match="str"):
        SwapPipeline(PaintedFaceEngine()).handle("job")

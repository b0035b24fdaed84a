"""The face lane's pipeline, in this process."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mirage_rtc.face_mapping import MAX_ENTRIES
from mirage_rtc.swap_pipeline import (
    PREPARED_FACES,
    PREPARED_IDENTITIES,
    CloseFace,
    ForeignPicture,
    ForgetIdentity,
    InspectPortrait,
    OpenFace,
    PrepareIdentity,
    SwapFrame,
    SwappedFrame,
    SwapPipeline,
    WearFace,
)
from models.engines import FaceEngine, FaceMapping, IdentitySource, MappedFace, PortraitError
from tests.call_parts import picture
from tests.scripted_engines import BatchingFaceEngine, PaintedFaceEngine, PaintedWearer, TellingFaceEngine

A = IdentitySource(kind="mask", name="a")
B = IdentitySource(kind="mask", name="b")


def _frame(call_id: str = "one", value: int = 128) -> SwapFrame:
    return SwapFrame(call_id=call_id, i420=picture(value), time_s=0.0)


def _two_calls(engine: FaceEngine) -> SwapPipeline:
    pipeline = SwapPipeline(engine)
    pipeline.handle(OpenFace(call_id="one", max_faces=1, identity=A))
    pipeline.handle(OpenFace(call_id="two", max_faces=1, identity=B))
    return pipeline


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
    pipeline, prepared = SwapPipeline(engine), _prepared_names(engine)
    pipeline.handle(PrepareIdentity(identity=A))
    pipeline.handle(OpenFace(call_id="one", max_faces=1, identity=A))
    assert prepared == ["a"]
    pipeline.handle(ForgetIdentity(name="a"))
    pipeline.handle(WearFace(call_id="one", identity=A))

    assert prepared == ["a", "a"]


def _dressed(engine: PaintedFaceEngine | TellingFaceEngine) -> list[Any]:
    """What the engine's wearers are told to wear from here on; they hold it alone."""
    worn: list[Any] = []

    class Listening(PaintedWearer):
        def wear(self, identity: Any) -> None:
            worn.append(identity)

    engine.open = lambda *, max_faces: Listening()  # type: ignore[method-assign]
    return worn


def test_what_is_forgotten_is_worn_by_nobody_at_once() -> None:
    """Also in a mapping, as what is worn and as who is known; other calls keep what they wear."""
    engine = TellingFaceEngine()
    worn = _dressed(engine)
    pipeline = SwapPipeline(engine)
    pipeline.handle(OpenFace(call_id="one", max_faces=1, identity=A))
    pipeline.handle(OpenFace(call_id="two", max_faces=1, identity=B))
    pipeline.handle(OpenFace(call_id="three", max_faces=1, identity=B, mapping=MAPPING))
    worn.clear()
    pipeline.handle(ForgetIdentity(name="a"))
    assert worn == [None, None]
    pipeline.handle(ForgetIdentity(name="a"))
    assert worn == [None, None]
    pipeline.handle(WearFace(call_id="one", identity=B))
    pipeline.handle(CloseFace(call_id="two"))
    pipeline.handle(ForgetIdentity(name="b"))
    assert worn == [None, None, 200, None]


def test_a_portrait_is_inspected_by_the_engine() -> None:
    """One without a face raises the engine's refusal."""
    pipeline = SwapPipeline(PaintedFaceEngine())
    pipeline.handle(InspectPortrait(portraits=(np.full((8, 8, 3), 9, np.uint8),)))
    with pytest.raises(PortraitError, match="face"):
        pipeline.handle(InspectPortrait(portraits=(np.zeros((8, 8, 3), np.uint8),)))


def test_an_unknown_job_is_an_error() -> None:
    """Nothing is ignored."""
    with pytest.raises(TypeError, match="str"):
        SwapPipeline(PaintedFaceEngine()).handle("job")


def test_a_batch_gives_each_call_its_own_answer_or_its_own_fault() -> None:
    """One call's frame makes the engine raise, one was never opened; the others are what each gives alone."""
    pipeline = _two_calls(BatchingFaceEngine())
    pipeline.handle(OpenFace(call_id="three", max_faces=1, identity=A))
    alone = {call: pipeline.handle(_frame(call)).i420 for call in ("one", "two")}
    answers = pipeline.handle_batch([_frame("one"), _frame("three", 28), _frame("nobody"), _frame("two")])

    assert [type(answer) for answer in answers] == [SwappedFrame, RuntimeError, KeyError, SwappedFrame]
    for call, answer in zip(("one", "two"), (answers[0], answers[3]), strict=True):
        assert isinstance(answer, SwappedFrame)
        np.testing.assert_array_equal(answer.i420, alone[call])
        assert answer.faces[0].swapped
        assert answer.cpu_ms > 0


def test_how_many_frames_go_together_is_the_engine_s_to_say() -> None:
    """One where it takes them singly; what comes together all the same is done one after the other."""
    assert SwapPipeline(BatchingFaceEngine()).batch_max == BatchingFaceEngine.batch_max
    single = _two_calls(PaintedFaceEngine())
    assert single.batch_max == 1
    answers = single.handle_batch([_frame("one"), _frame("two", 28)])
    assert [type(answer) for answer in answers] == [SwappedFrame, RuntimeError]


@pytest.mark.parametrize("fault", ["one buffer", "swapped", "cropped"])
def test_a_picture_that_lies_in_another_call_s_memory_is_nobody_s(fault: str) -> None:
    """As one buffer that a GPU engine uses for two calls; and a picture of another size is not its frame's."""
    answers = _two_calls(BatchingFaceEngine(fault)).handle_batch([_frame("one"), _frame("two")])
    assert [type(answer) for answer in answers] == [ForeignPicture] * 2


def test_answers_that_are_not_one_for_each_frame_are_nobody_s() -> None:
    """Whose is missing cannot be told."""
    with pytest.raises(ValueError, match="each frame"):
        _two_calls(BatchingFaceEngine("too few")).handle_batch([_frame("one"), _frame("two")])


MAPPING = FaceMapping(faces=(MappedFace(reference=A, wears=B, threshold=0.5),), others="passthrough", lock=True)


def test_a_mapping_goes_to_an_engine_that_recognises_people() -> None:
    """With the identities prepared; it goes again with the next one that is worn."""
    pipeline = SwapPipeline(TellingFaceEngine())
    pipeline.handle(OpenFace(call_id="one", max_faces=1, identity=A, mapping=MAPPING))
    mixed = pipeline.handle(_frame())
    assert int(mixed.i420[5, 5]) > 160
    assert abs(int(mixed.i420[5, 60]) - 128) < 5
    assert [face.untouched for face in mixed.faces] == [False, True]
    pipeline.handle(WearFace(call_id="one", identity=A))
    plain = pipeline.handle(_frame())
    assert int(plain.i420[5, 60]) < 60


def test_an_engine_that_recognises_nobody_covers_everybody() -> None:
    """As when a lane fell back to the embedded engine in mid-call: nobody wears anything until the mapping is gone."""
    engine = PaintedFaceEngine()
    worn = _dressed(engine)
    pipeline = SwapPipeline(engine)
    pipeline.handle(OpenFace(call_id="one", max_faces=1, identity=A, mapping=MAPPING))
    pipeline.handle(WearFace(call_id="one", identity=B, mapping=MAPPING))
    pipeline.handle(WearFace(call_id="one", identity=B))
    assert worn == [None, None, 200]


def test_of_several_portraits_all_that_are_unusable_are_named() -> None:
    """By their number; those that are usable are not."""
    black, grey = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 9, np.uint8)
    pipeline = SwapPipeline(PaintedFaceEngine())
    pipeline.handle(InspectPortrait(portraits=(grey, grey)))
    with pytest.raises(PortraitError, match="Picture 2: .*Picture 4: ") as refused:
        pipeline.handle(InspectPortrait(portraits=(grey, black, grey, black)))
    assert refused.value.code == "portraits_unusable"


def _prepared_names(engine: PaintedFaceEngine | TellingFaceEngine) -> list[str]:
    """The names of all that the engine prepares from here on."""
    names: list[str] = []
    original = engine.prepare

    def prepare(source: IdentitySource) -> int:
        names.append(source.name)
        return original(source)

    engine.prepare = prepare  # type: ignore[method-assign]
    return names


def test_the_largest_mapping_is_prepared_once_beside_those_of_other_calls() -> None:
    """Each of its eight people is known by a portrait and wears another; what it names stays at hand."""
    engine = TellingFaceEngine()
    pipeline, prepared = SwapPipeline(engine), _prepared_names(engine)
    sources = [IdentitySource(kind="mask", name=str(number)) for number in range(2 * MAX_ENTRIES)]
    pairs = zip(sources[::2], sources[1::2], strict=True)
    faces = tuple(MappedFace(reference=reference, wears=wears, threshold=0.5) for reference, wears in pairs)
    mapping = FaceMapping(faces=faces, others="blur", lock=True)
    for _ in range(2):
        pipeline.handle(OpenFace(call_id="one", max_faces=1, identity=A, mapping=mapping))
        pipeline.handle(PrepareIdentity(identity=B))
    assert len(prepared) == len(set(prepared)) == 2 * MAX_ENTRIES + 2


class _Stepping(TellingFaceEngine):
    """Takes a step a portrait."""

    taken = 0

    def steps(self, source: IdentitySource) -> Iterator[int | None]:
        """As the engines."""
        for _ in source.more:
            self.taken += 1
            yield None
        yield self.prepare(source)


def test_an_identity_of_several_portraits_is_prepared_a_portrait_a_job() -> None:
    """A forgotten one is not gone on with, one that is prepared takes no further step."""
    frame, engine = np.full((8, 8, 3), 9, np.uint8), _Stepping()
    whole = IdentitySource(kind="portrait", name="ada", portrait=frame, more=(frame, frame))
    rest = PrepareIdentity(identity=IdentitySource(kind="portrait", name="ada"))
    pipeline = SwapPipeline(engine)
    assert pipeline.handle(rest) == "again"
    assert pipeline.handle(PrepareIdentity(identity=whole)) == "more"
    pipeline.handle(ForgetIdentity(name="ada"))
    assert pipeline.handle(rest) == "again"
    told = [pipeline.handle(job) for job in (PrepareIdentity(identity=whole), rest, rest, rest)]
    assert told == ["more", "more", None, None]
    assert engine.taken == 3


@pytest.mark.parametrize(
    ("engine", "kept"), [(TellingFaceEngine(), PREPARED_IDENTITIES), (PaintedFaceEngine(), PREPARED_FACES)]
)
def test_what_is_kept_prepared_is_bounded(engine: TellingFaceEngine | PaintedFaceEngine, kept: int) -> None:
    """The one used longest ago goes, and is prepared again when it is asked for."""
    pipeline, prepared = SwapPipeline(engine), _prepared_names(engine)
    for number in (*range(kept + 1), 1, 0):
        pipeline.handle(PrepareIdentity(identity=IdentitySource(kind="mask", name=str(number))))
    assert prepared == [*map(str, range(kept + 1)), "0"]

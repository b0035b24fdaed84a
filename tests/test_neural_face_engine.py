"""The neural engine over small networks: who is swapped, who is blurred, and that every doubt hides the face."""

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from models import inswapper
from models.carried_faces import CarriedFace, CarriedFaces, FaceCarrier
from models.engines import (
    Frame,
    IdentitySource,
    Others,
    PortraitError,
    PreparedPart,
    RecognisingFaceEngine,
    StepwiseFaceEngine,
    Swap,
    SwapRequest,
)
from models.neural_face_engine import FAILED_RUNS_TO_RESTART, NeuralFaceEngine
from models.neural_face_wearer import NeuralFaceWearer
from models.runtime import NetworkError
from tests.asset_frames import CLIPS, frames, picture, with_golden
from tests.neural_parts import FaultyGraph, detector_graph, small_engine, swapper_graph

PORTRAIT = IdentitySource(kind="mask", name="porcelain")
TWO = "grid_two_people.mp4"
pytestmark = with_golden


def wearer(fault: str = "", *, part: str = "swapper", first: int = 1, last: int = 10_000) -> NeuralFaceWearer:
    """A call that wears a mask, with a fault in one of its networks."""
    swapper = FaultyGraph(swapper_graph(), fault, first, last) if fault and part == "swapper" else None
    detector = FaultyGraph(detector_graph(), fault, first, last) if fault and part == "detector" else None
    engine = small_engine(swapper=swapper, detector=detector)
    one = engine.open(max_faces=1)
    one.wear(engine.prepare(PORTRAIT))
    return one


def shown(clip: tuple[Frame, ...], one: NeuralFaceWearer) -> list[Swap]:
    """A clip at 25 frames a second."""
    return [one.swap(frame.copy(), index / 25) for index, frame in enumerate(clip)]


def middle_of_face(frame: Frame, swap: Swap) -> Frame:
    """The pixels between the eyes and the mouth of the first face."""
    face = swap.faces[0]
    x, y = int(face.x_px + face.width_px / 2), int(face.y_px + face.height_px / 2)
    return frame[y - 15 : y + 15, x - 15 : x + 15]


def hidden(raw: Frame, swap: Swap) -> bool:
    """Whether no detail of the raw face is left: its fine structure, what a coarse blur takes away, is gone."""
    before, after = (
        region.astype(np.float32) - cv2.GaussianBlur(region, (0, 0), 4).astype(np.float32)
        for region in (middle_of_face(raw, swap), middle_of_face(swap.frame, swap))
    )
    return float((before * after).sum()) < 0.25 * float((before * before).sum())


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_is_swapped_and_its_stages_are_timed(name: str) -> None:
    """From the first frame on; detection shows only where it ran."""
    swaps = shown(frames(name), wearer())
    assert [swap.swapped for swap in swaps] == [1] * 75
    assert all(hidden(raw, swap) for raw, swap in zip(frames(name), swaps, strict=True))
    assert {"track", "align", "swap", "paste"} <= set(swaps[1].stage_ms)
    assert sum("detect" in swap.stage_ms for swap in swaps) <= 0.25 * 75


def test_the_largest_wears_the_identity_and_the_other_is_blurred() -> None:
    """One of two swapped, one blurred to nothing that a detector finds; with two places both."""
    engine = small_engine()
    for places in (1, 2):
        one = engine.open(max_faces=places)
        one.wear(engine.prepare(PORTRAIT))
        swap = one.swap(picture(TWO).copy(), 0.0)
        assert [face.swapped for face in swap.faces] == [True, places == 2]
        other = swap.faces[1]
        x0, y0 = int(other.x_px + other.width_px / 4), int(other.y_px + other.height_px / 4)
        box = (slice(y0, y0 + int(other.height_px / 2)), slice(x0, x0 + int(other.width_px / 2)))
        assert np.abs(swap.frame[box].astype(int) - picture(TWO)[box]).mean() > 4


def test_before_an_identity_all_is_blurred_and_nobody_counts_as_swapped() -> None:
    """And again when it is taken away."""
    engine = small_engine()
    one = engine.open(max_faces=1)
    raw = picture("grid_bbaf2n.mpg@5")
    for identity in (None, engine.prepare(PORTRAIT), None):
        one.wear(identity)
        swap = one.swap(raw.copy(), 0.0)
        assert swap.swapped == (identity is not None)
        assert hidden(raw, swap)
    with pytest.raises(TypeError, match="prepare"):
        one.wear("porcelain")


def test_a_change_of_identity_shows_from_the_next_frame() -> None:
    """Another latent, other pixels; nothing of the tracks before is kept."""
    engine = small_engine()
    one = engine.open(max_faces=1)
    raw, results = picture("grid_bbaf2n.mpg@5"), []
    for name in ("porcelain", "synthetic:9"):
        one.wear(engine.prepare(IdentitySource(kind="mask", name=name)))
        results.append(one.swap(raw.copy(), 0.0))
    assert all(swap.swapped == 1 for swap in results)
    first, second = (middle_of_face(swap.frame, swap).astype(int) for swap in results)
    assert np.abs(first - second).mean() > 10


def test_no_face_is_no_swap() -> None:
    """The gate decides what is shown then."""
    swap = wearer().swap(np.full((288, 360, 3), 127, np.uint8), 0.0)
    assert (swap.faces, swap.swapped) == ((), 0)


@pytest.mark.parametrize(
    ("part", "fault"),
    [("swapper", "not finite"), ("swapper", "constant"), ("swapper", "raises"), ("detector", "not finite")],
)
def test_nonsense_of_a_network_raises_and_the_next_frame_starts_afresh(part: str, fault: str) -> None:
    """No frame comes back at all, so that none can be sent."""
    one = wearer(fault, part=part, last=1)
    raw = picture("grid_bbaf2n.mpg@5")
    with pytest.raises(NetworkError):
        one.swap(raw.copy(), 0.0)
    assert one.swap(raw.copy(), 0.04).swapped == 1


def test_a_swapper_that_gives_back_what_it_was_shown_swaps_nobody() -> None:
    """The face is blurred and does not count."""
    raw = picture("grid_bbaf2n.mpg@5")
    swap = wearer("echoes").swap(raw.copy(), 0.0)
    assert swap.swapped == 0
    assert hidden(raw, swap)


def test_a_swapper_that_minds_no_identity_is_refused_at_the_start() -> None:
    """Its answer can only be of the face that it is shown; one that minds it is not refused."""
    small_engine().warm_up()
    with pytest.raises(NetworkError, match="whoever is to be worn"):
        small_engine(swapper=FaultyGraph(swapper_graph(), "echoes", first=1, last=10)).warm_up()


def test_networks_that_fail_again_and_again_end_the_process() -> None:
    """A lost GPU: its lane starts another. A frame that goes through starts the count again."""
    raw = picture("grid_bbaf2n.mpg@5")
    one = wearer("raises", first=FAILED_RUNS_TO_RESTART)
    for number in range(FAILED_RUNS_TO_RESTART - 1):
        one.swap(raw.copy(), number / 25)
    for number in range(FAILED_RUNS_TO_RESTART - 1):
        with pytest.raises(NetworkError):
            one.swap(raw.copy(), 1 + number / 25)
    with pytest.raises(SystemExit, match="in a row"):
        one.swap(raw.copy(), 2.0)


def wearers(engine: NeuralFaceEngine, count: int) -> list[NeuralFaceWearer]:
    """So many calls that wear a mask."""
    calls = [engine.open(max_faces=1) for _ in range(count)]
    for one in calls:
        one.wear(engine.prepare(PORTRAIT))
    return calls


def batch(engine: NeuralFaceEngine, calls: Sequence[NeuralFaceWearer], time_s: float) -> list[Swap | Exception]:
    """A frame of each."""
    raw = picture("grid_bbaf2n.mpg@5")
    return engine.swap_batch([SwapRequest(wearer=one, frame=raw.copy(), time_s=time_s) for one in calls])


def test_batches_count_and_not_the_frames_in_them() -> None:
    """Three calls in one run fail as often as one does; a frame of a batch that goes through starts the count again."""
    graph = FaultyGraph(swapper_graph(), "raises", 1, 10_000)
    engine = small_engine(swapper=graph)
    calls = wearers(engine, 3)
    spared = engine.open(max_faces=1)  # wears nothing: the swapper is not asked for it
    for number in range(2 * FAILED_RUNS_TO_RESTART - 2):
        together = [*calls, spared] if number == FAILED_RUNS_TO_RESTART - 2 else calls
        answers = batch(engine, together, number / 25)
        assert [isinstance(answer, NetworkError) for answer in answers[:3]] == [True] * 3
    with pytest.raises(SystemExit, match="in a row"):
        batch(engine, calls, 2.0)


def test_one_caller_whose_answer_is_nonsense_costs_no_further_runs() -> None:
    """Their face is blurred in this frame; three others in the same run are what they are alone, of one run."""
    graph = FaultyGraph(swapper_graph(), "one is not finite", 1, 10_000)
    engine, raw = small_engine(swapper=graph), picture("grid_bbaf2n.mpg@5")
    first, *others = batch(engine, wearers(engine, 4), 0.0)
    assert graph.runs == 1
    assert isinstance(first, Swap)
    assert [face.swapped for face in first.faces] == [False]
    assert hidden(raw, first)
    wanted = wearer().swap(raw.copy(), 0.0).frame
    for other in others:
        assert isinstance(other, Swap)
        np.testing.assert_array_equal(other.frame, wanted)


BOX = np.array([100, 100, 200, 240], np.float32)
FRONT = np.asarray((inswapper.TEMPLATE_PX - [64, 72]) * 1.1 + [150, 175], np.float32)


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({}, True),
        ({"confidence": 0.39}, False),
        ({"points": np.full((5, 2), np.nan, np.float32)}, False),
        ({"points": np.full((5, 2), 150, np.float32)}, False),
        ({"points": FRONT[[4, 2, 0, 1, 3]]}, False),
        ({"box": np.array([100, 100, 120, 122], np.float32)}, False),
        ({"box": BOX - np.array([160, 0, 160, 0], np.float32)}, False),
        ({"box": BOX - np.array([140, 0, 140, 0], np.float32)}, True),
        ({"box": np.array([-300, -300, 700, 700], np.float32)}, False),
        ({"box": np.array([100, np.inf, 200, 240], np.float32)}, False),
    ],
    ids=["good", "unsure", "nan", "coincide", "scrambled", "small", "outside", "half", "huge", "infinite"],
)
def test_a_face_whose_place_is_in_doubt_is_blurred(
    change: dict[str, object], kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Swapped only when it is surely there, large enough, inside the picture, and its points are those of a face."""
    given = {"track_id": 1, "points": FRONT, "box": BOX, "confidence": 0.9, "stable": True} | change
    seen = CarriedFaces(faces=(CarriedFace(**given),), others=(), trusted=True, searched=True)  # type: ignore[arg-type]
    monkeypatch.setattr(FaceCarrier, "update", lambda *_: seen)
    raw = np.random.default_rng(5).integers(0, 256, (288, 360, 3), np.uint8)
    swap = wearer().swap(raw.copy(), 0.0)
    assert swap.swapped == kept
    assert (swap.frame != raw).any() or change.get("box") is not None


def test_without_trust_the_whole_frame_is_blurred(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the lost face went."""
    seen = CarriedFaces(faces=(), others=(BOX,), trusted=False, searched=True)
    monkeypatch.setattr(FaceCarrier, "update", lambda *_: seen)
    raw = np.random.default_rng(5).integers(0, 256, (288, 360, 3), np.uint8)
    swap = wearer().swap(raw.copy(), 0.0)
    assert [face.swapped for face in swap.faces] == [False]
    assert swap.frame.std() < 0.2 * raw.std()


def test_two_calls_in_turn_wear_nothing_of_each_other() -> None:
    """Interleaved frame by frame, bit by bit what each gives alone."""
    engine = small_engine()
    identities = [engine.prepare(IdentitySource(kind="mask", name=name)) for name in ("porcelain", "carved")]
    clips = [frames(name)[:20] for name in CLIPS[:2]]
    alone = []
    for identity, clip in zip(identities, clips, strict=True):
        one = engine.open(max_faces=1)
        one.wear(identity)
        alone.append([swap.frame for swap in shown(clip, one)])
    pair = [engine.open(max_faces=1) for _ in identities]
    for one, identity in zip(pair, identities, strict=True):
        one.wear(identity)
    for index, call in itertools.product(range(20), range(2)):
        swap = pair[call].swap(clips[call][index].copy(), index / 25)
        np.testing.assert_array_equal(swap.frame, alone[call][index])


def test_a_portrait_becomes_an_identity() -> None:
    """A unit latent, its own; masks have others; the engine warms up on all its networks."""
    engine = small_engine()
    engine.warm_up()
    portrait = IdentitySource(kind="portrait", name="p", portrait=picture("astronaut.png"))
    latents = [engine.prepare(source).latent for source in (portrait, portrait, PORTRAIT)]
    np.testing.assert_array_equal(latents[0], latents[1])
    assert float(latents[0] @ latents[2]) < 0.5
    assert np.linalg.norm(latents[0]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("portrait", "code"),
    [
        (np.zeros((200, 200, 3), np.uint8), "portrait_no_face"),
        (None, "portrait_no_face"),
        ("two", "portrait_several_faces"),
        ("small", "portrait_face_too_small"),
    ],
)
def test_an_unusable_portrait_is_refused_with_the_embedded_engine_s_codes(
    portrait: Frame | str | None, code: str
) -> None:
    """Nobody, several people, too small."""
    if isinstance(portrait, str):
        shrunk = cv2.resize(picture("grid_bbaf2n.mpg@5"), None, fx=0.4, fy=0.4)
        portrait = picture(TWO) if portrait == "two" else np.asarray(shrunk, np.uint8)
    with pytest.raises(PortraitError) as refused:
        small_engine().prepare(IdentitySource(kind="portrait", name="p", portrait=portrait))
    assert refused.value.code == code


def test_a_name_that_is_no_mask() -> None:
    """KeyError, as the embedded engine has it."""
    with pytest.raises(KeyError):
        small_engine().prepare(IdentitySource(kind="mask", name="nobody"))


def test_a_batch_of_calls_is_what_each_gives_alone_and_a_fault_costs_only_its_own_call() -> None:
    """Three calls in one run of the swapper, one of them with a wearer whose detector fails."""
    engine, raw = small_engine(), [picture("grid_bbaf2n.mpg@5"), picture(TWO)]
    calls = []
    for name in ("porcelain", "synthetic:9"):
        one = engine.open(max_faces=2)
        one.wear(engine.prepare(IdentitySource(kind="mask", name=name)))
        calls.append(one)
    alone = [one.swap(frame.copy(), 0.0).frame for one, frame in zip(calls, raw, strict=True)]
    blind = wearer("not finite", part="detector")
    for one in calls:
        one.reset()
    requests = [
        SwapRequest(wearer=one, frame=frame.copy(), time_s=0.0)
        for one, frame in zip([calls[0], blind, calls[1]], [raw[0], raw[0], raw[1]], strict=True)
    ]
    answers = engine.swap_batch(requests)
    assert isinstance(answers[1], NetworkError)
    for wanted, answer in zip(alone, [answers[0], answers[2]], strict=True):
        assert isinstance(answer, Swap)
        np.testing.assert_array_equal(answer.frame, wanted)


def test_when_the_batch_fails_each_frame_is_tried_alone() -> None:
    """A run of several that does not fit into the memory costs no call its frame."""
    graph = FaultyGraph(swapper_graph(), "raises", 1, 1)
    engine, raw = small_engine(swapper=graph), picture("grid_bbaf2n.mpg@5")
    requests = []
    for _ in range(2):
        one = engine.open(max_faces=1)
        one.wear(engine.prepare(PORTRAIT))
        requests.append(SwapRequest(wearer=one, frame=raw.copy(), time_s=0.0))
    assert [isinstance(answer, Swap) for answer in engine.swap_batch(requests)] == [True, True]
    assert graph.runs == 3


def test_several_portraits_of_one_person_make_one_identity() -> None:
    """Their mean, in any order; one of somebody else among them is named."""
    engine, of_her = small_engine(), [picture(f"grid_lrwp9a.mpg@{index}") for index in (5, 30, 60)]
    one, other = (
        engine.prepare(IdentitySource(kind="portrait", name="p", portrait=shots[0], more=tuple(shots[1:])))
        for shots in (of_her, of_her[::-1])
    )
    np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-5)
    assert isinstance(engine, StepwiseFaceEngine)
    whole = IdentitySource(kind="portrait", name="p", portrait=of_her[0], more=tuple(of_her[1:]))
    assert [step is None for step in engine.steps(whole)] == [True, True, False]
    alone = engine.prepare(IdentitySource(kind="portrait", name="p", portrait=of_her[0]))
    assert 0.9 < float(one.embedding @ alone.embedding) < 0.9999
    mixed = (of_her[1], picture("grid_bbaf2n.mpg@5"))
    with pytest.raises(PortraitError, match="Picture 3") as refused:
        engine.prepare(IdentitySource(kind="portrait", name="p", portrait=of_her[0], more=mixed))
    assert refused.value.code == "portraits_differ"


@pytest.mark.parametrize(("others", "swapped", "untouched"), [("blur", 1, 0), ("swap", 2, 0), ("passthrough", 1, 1)])
def test_a_mapping_is_worn_like_an_identity(others: Others, swapped: int, untouched: int) -> None:
    """The enrolled person wears hers from the first frame on, the other what others do, once it is sure who she is."""
    engine = small_engine()
    assert isinstance(engine, RecognisingFaceEngine)
    mask, her = (
        engine.prepare(IdentitySource(kind="mask", name="porcelain")),
        engine.prepare(IdentitySource(kind="portrait", name="p", portrait=picture("grid_lrwp9a.mpg@5"))),
    )
    one = engine.open(max_faces=2)
    part = PreparedPart(reference=her, wears=engine.prepare(IdentitySource(kind="mask", name="carved")), threshold=0.45)
    one.wear(engine.mapped(mask, [part], others=others, lock=True))
    first = one.swap(picture(TWO).copy(), 0.0)
    assert (first.swapped, len(first.faces)) == (1, 2)
    for index in range(1, 17):
        swap = one.swap(picture(TWO).copy(), index / 25)
    assert (swap.swapped, [face.untouched for face in swap.faces].count(True)) == (swapped, untouched)
